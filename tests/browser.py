"""Drives a real Chromium through its DevTools pipe: JSON messages that end with a zero byte, on descriptors 3 and 4."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PATIENCE = 90.0
"""Seconds that anything in the browser may take on a busy machine."""
AXE = Path.home() / ".cache/plimsoll/axe-core/package/axe.min.js"
"""What `scripts/test-packages` fetches from the registry of npm."""

_ON_3_AND_4 = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)


class Tab:
    """One page of the browser. `problems` has every error and warning of its console, and every exception."""

    def __init__(self, send: int, receive: int) -> None:
        self.problems: list[str] = []
        self._send, self._receive = send, receive
        self._numbers = itertools.count(1)
        self._rest = b""
        self._session = ""
        self._answers: dict[int, dict[str, Any]] = {}
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        content = json.dumps(message).encode() + b"\0"
        while content:
            content = content[os.write(self._send, content) :]
        until = time.monotonic() + PATIENCE
        while number not in self._answers:
            self._listen(until, method)
        answer = self._answers.pop(number)
        assert "error" not in answer, (method, answer["error"])
        result: dict[str, Any] = answer["result"]
        return result

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)

    def run(self, script: str) -> Any:
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait_for(self, script: str, seconds: float = PATIENCE) -> Any:
        """What a script gives once it is neither false nor empty."""
        until = time.monotonic() + seconds
        while not (found := self._try(script)):
            assert time.monotonic() < until, f"not within {seconds:g} s: {script}\n{self.text()}\n{self.problems}"
            time.sleep(0.03)
        return found

    def text(self) -> str:
        return str(self.run("document.body.innerText"))

    def click(self, selector: str) -> None:
        self.wait_for(f"document.querySelector({json.dumps(selector)})")
        self.run(f"document.querySelector({json.dumps(selector)}).click()")

    def press(self, key: str) -> None:
        text = key if len(key) == 1 else "\r" if key == "Enter" else ""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, text=text if kind == "keyDown" else "")

    def size(self, width: int, height: int = 900) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def scheme(self, word: str) -> None:
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": word}])

    def picture(self, path: Path) -> None:
        taken = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(taken["data"]))

    def axe(self) -> list[str]:
        """The serious findings of axe-core on the page as it is."""
        # The page's own policy allows no other script, as it should; the tool's is put in by the browser.
        self.run(AXE.read_text(encoding="utf-8") + "; true")
        found = self.run("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{each['id']}: {each['help']}: {each['nodes'][0]['html'][:200]}"
            for each in found["violations"]
            if each["impact"] in ("serious", "critical")
        ]

    def _try(self, script: str) -> Any:
        # An element is something; by value it would be an empty object.
        script = f"((found) => (found instanceof Node ? true : found))({script})"
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        return None if "exceptionDetails" in found else found["result"].get("value")

    def _listen(self, until: float, what: str) -> None:
        left = until - time.monotonic()
        assert left > 0, f"the browser did not answer within {PATIENCE:g} s: {what}"
        if not select.select([self._receive], [], [], left)[0]:
            return
        content = os.read(self._receive, 1 << 20)
        assert content, "the browser has ended"
        *messages, self._rest = (self._rest + content).split(b"\0")
        for message in map(json.loads, messages):
            if "id" in message:
                self._answers[message["id"]] = message
            else:
                self._note(message["method"], message.get("params", {}))

    def _note(self, method: str, said: Mapping[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            details = said["exceptionDetails"]
            self.problems.append(str(details.get("exception", {}).get("description", details["text"])))
        elif method == "Runtime.consoleAPICalled" and said["type"] in ("error", "warning", "assert"):
            self.problems.append(str([each.get("value", each.get("description")) for each in said["args"]]))
        elif method == "Log.entryAdded" and said["entry"]["level"] in ("error", "warning"):
            # A browser asks for an icon by itself; a page without one is none the worse.
            if said["entry"].get("url", "").endswith("/favicon.ico"):
                return
            self.problems.append(f"{said['entry']['text']} {said['entry'].get('url', '')}")


@contextlib.contextmanager
def chromium() -> Iterator[Tab]:
    """A browser with one tab, and a profile that is gone afterwards."""
    program = shutil.which("chromium")
    assert program is not None
    profile = tempfile.mkdtemp(prefix="plimsoll-chromium-")
    to_browser, from_browser = os.pipe(), os.pipe()
    reads, writes = (fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (to_browser[0], from_browser[1]))
    options = [
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        "--disable-background-networking", "--hide-scrollbars", "--remote-debugging-pipe", f"--user-data-dir={profile}",
    ]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-c", _ON_3_AND_4, str(reads), str(writes), program, *options],
        pass_fds=[reads, writes],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for end in (to_browser[0], from_browser[1], reads, writes):
        os.close(end)
    try:
        yield Tab(to_browser[1], from_browser[0])
    finally:
        os.close(to_browser[1])
        os.close(from_browser[0])
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(profile, ignore_errors=True)
