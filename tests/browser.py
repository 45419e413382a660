"""A real browser for tests: Chromium without a window, over the pipe of its debugging protocol."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

LIMIT = 20.0
"""Seconds for one answer of the browser."""


class Browser:
    """One page. `complaints` has what its console said of errors, refusals of policies included."""

    def __init__(self, profile: Path) -> None:
        self._profile = profile
        self._numbers = 0
        self._left = b""
        self._session = ""
        self.complaints: list[str] = []

    def __enter__(self) -> Browser:
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()

        def fds() -> None:
            # The protocol reads from 3 and writes to 4; both are moved out of each other's way first.
            first, second = os.dup(to_browser), os.dup(from_browser)
            os.dup2(first, 3)
            os.dup2(second, 4)

        options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={self._profile}"]
        self._process = subprocess.Popen(
            ["chromium", *options, "--remote-debugging-pipe", "about:blank"],
            preexec_fn=fds,  # noqa: PLW1509 - nothing else gives a process these numbers
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._call(f"{domain}.enable")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._write)
        os.close(self._read)

    def open(self, url: str) -> None:
        """Go to a page, and wait until it is loaded."""
        self._call("Page.navigate", url=url)
        assert self.wait_for("document.readyState === 'complete' && location.href !== 'about:blank'")

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        found = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait_for(self, condition: str) -> bool:
        """Whether an expression becomes true."""
        deadline = time.monotonic() + LIMIT
        while not self.run(condition):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def _call(self, method: str, **parameters: object) -> dict[str, Any]:
        self._numbers += 1
        call = {"id": self._numbers, "method": method, "params": parameters}
        session = {"sessionId": self._session} if self._session else {}
        os.write(self._write, json.dumps({**call, **session}).encode() + b"\0")
        while True:
            message = self._message()
            if message.get("id") == self._numbers:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
            if message.get("method") == "Log.entryAdded":
                entry = message["params"]["entry"]
                if entry["level"] == "error" and not entry.get("url", "").endswith("favicon.ico"):
                    self.complaints.append(entry["text"])
            elif message.get("method") == "Runtime.exceptionThrown":
                self.complaints.append(str(message["params"]["exceptionDetails"]))

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._left:
            more = os.read(self._read, 1 << 16)
            assert more, "the browser has ended"
            self._left += more
        first, _, self._left = self._left.partition(b"\0")
        decoded: dict[str, Any] = json.loads(first)
        return decoded
