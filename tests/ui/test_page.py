"""The page in a real Chromium: live, hostile names, keys, and what axe-core says of it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from plimsoll.evidence.journal import Journal
from plimsoll.kinds.register import RegisterResult
from plimsoll.registry.models import ModelRegistry
from plimsoll.registry.versions import Lineage
from plimsoll.signing.keys import KeyRing
from plimsoll.state.directory import StateDirectory
from plimsoll.state.lock import RunLock
from plimsoll.state.results import result_to_json
from tests.browser import AXE, Tab, chromium
from tests.capabilities.bundled import bundle_of
from tests.ui.journals import START, run_id, seen, write_run
from tests.ui.test_devices import device
from tests.ui.test_devices import write as write_fleet
from tests.ui.test_sweeps import TRIALS, sweep_lines

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs a browser (apt-get install chromium)"),
]
HOSTILE = "<img src=x onerror=document.title='owned'>\"'`</script><script>document.title='owned'</script>"
BASE = [f"layer {n} loss" for n in range(500)]


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Runs, a model, a bundle and logs, all with names that would be markup, script or an attribute."""
    directory = tmp_path_factory.mktemp("app")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(directory / "config"))
        patch.delenv("KUBECONFIG", raising=False)
        for number in range(1, 131):
            figures = {HOSTILE: float(number), "loss": 1 / number, **(dict.fromkeys(BASE, 0.5) if number > 128 else {})}
            write_run(directory, number, figures, application=HOSTILE, parameters={HOSTILE: HOSTILE})
        write_run(directory, 131, ended="failed", reason=HOSTILE, application=HOSTILE)
        state = StateDirectory(directory)
        with Journal(state.journal(run_id(129))) as journal:
            journal.extend(sweep_lines(TRIALS, HOSTILE))
        log = state.log(run_id(131), "train/triage", 1, 0)
        log.write_text("".join(f"line {n} {HOSTILE}\n" for n in range(30_000)))
        output = state.output("k131")
        output.mkdir(parents=True)
        points = (json.dumps({"step": n, f"loss {HOSTILE}": 1 / n, "rate": n}) for n in range(1, 200))
        (output / "metrics.jsonl").write_text("\n".join(points) + "\n")
        _register(state, directory)
        bundle_of(directory / "plimsoll-lab", KeyRing(directory / "config" / "plimsoll" / "keys"))
        write_fleet(
            state.root, "cabs", device("cab-1"), device("cab-2", failed=3, problem=HOSTILE), device("cab-3", None)
        )
        yield directory


def _register(state: StateDirectory, directory: Path) -> None:
    model = directory / "model.onnx"
    model.write_bytes(b"weights")
    registry = ModelRegistry(state.registry, KeyRing(directory / "config" / "plimsoll" / "keys"))
    for key in ("one", "two"):
        lineage = Lineage(
            run=run_id(130),
            step="train/triage",
            key=key,
            data={HOSTILE: "d" * 64},
            code={HOSTILE: "c" * 64},
            command=HOSTILE,
        )
        bounds = {HOSTILE: ">= 1", "loss": "<= 0.1"}
        registry.add(
            "triage", {"model.onnx": model}, lineage=lineage, metrics={HOSTILE: 0.5, "loss": 0.01}, accept=bounds
        )


@pytest.fixture(scope="module")
def url(application: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "plimsoll", "ui", str(application), "--json"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ.copy())
    try:
        assert server.stdout is not None
        assert server.stderr is not None
        yield str(json.loads(server.stdout.readline())["url"])
        server.send_signal(signal.SIGINT)
        assert server.wait(20) == 0
        assert server.stderr.read() == ""
    finally:
        server.kill()
        server.wait()
        for stream in (server.stdout, server.stderr):
            with contextlib.suppress(AttributeError):
                stream.close()  # type: ignore[union-attr]  # as above


@pytest.fixture(scope="module")
def browser() -> Iterator[Tab]:
    with chromium() as found:
        yield found


@pytest.fixture
def tab(browser: Tab, url: str) -> Iterator[Tab]:
    """The first page. Nothing that a test does may leave anything in the console."""
    browser.size(1280)
    browser.scheme("light")
    browser.open("about:blank")
    browser.problems.clear()
    browser.open(url)
    browser.wait_for("document.querySelector('tr[data-run]')")
    yield browser
    assert browser.problems == []
    assert browser.run("document.title").endswith("Plimsoll")


def go(tab: Tab, path: str, until: str) -> None:
    tab.run("document.querySelector('main').replaceChildren()")
    tab.run(f"location.hash = {json.dumps('#/' + path)}; window.dispatchEvent(new HashChangeEvent('hashchange'))")
    tab.wait_for(until)


def place(tab: Tab) -> str:
    return str(tab.run("document.getElementById('place').value"))


def rows(tab: Tab) -> list[str]:
    found: list[str] = tab.run("[...document.querySelectorAll('tr[data-run] a')].map((each) => each.textContent)")
    return found


def test_the_token_leaves_the_address_and_nothing_comes_from_elsewhere(tab: Tab, url: str) -> None:
    assert "token" not in tab.run("location.href")
    loaded: list[str] = tab.run("performance.getEntriesByType('resource').map((each) => each.name)")
    origin = url.partition("/#")[0]
    assert loaded
    assert [each for each in loaded if not each.startswith(f"{origin}/")] == []
    assert tab.run("document.cookie") == ""


def test_runs_are_paged_sorted_and_have_the_columns_that_are_asked_for(tab: Tab) -> None:
    # Another test may have begun run 140 before.
    more = rows(tab)[0] == "140"
    assert rows(tab)[more : more + 3] == ["131", "130", "129"]
    tab.press("n")
    tab.wait_for(f"document.body.innerText.includes('51–100 of {131 + more}')")
    assert rows(tab)[0] == str(81 + more)
    tab.run("document.querySelector('details summary').click()")
    tab.wait_for("[...document.querySelectorAll('.chips button')].some((each) => each.textContent === 'triage loss')")
    tab.run(
        "[...document.querySelectorAll('.chips button')].find((each) => each.textContent === 'triage loss').click()"
    )
    tab.wait_for(
        "[...document.querySelectorAll('th button')].some((each) => each.textContent.startsWith('triage loss'))"
    )
    tab.run(
        "[...document.querySelectorAll('th button')].find((each) => each.textContent.startsWith('triage loss')).click()"
    )
    tab.wait_for("document.querySelector('th[aria-sort=descending] button').textContent.startsWith('triage loss')")
    tab.wait_for("document.querySelector('tr[data-run] a').textContent === '1'")
    address = tab.run("location.href")
    tab.open("about:blank")
    tab.open(address)
    tab.wait_for("document.querySelector('tr[data-run] a').textContent === '1'")


def test_names_logs_and_figures_are_text_whatever_they_say(tab: Tab) -> None:
    at = place(tab)
    pages = {
        f"{at}/runs": "document.body.innerText.includes('onerror')",
        f"{at}/runs/131": "document.querySelectorAll('.chart').length >= 2",
        f"{at}/runs/131/log/train%2Ftriage%2F1-0.log": "document.querySelector('.log pre')",
        f"{at}/compare/1/2": "document.body.innerText.includes('What changed')",
        f"{at}/sweeps": "document.querySelector('tr[data-run]')",
        f"{at}/sweeps/129": "document.querySelectorAll('circle.trial').length === 3",
        f"{at}/models": "document.body.innerText.includes('triage@2')",
        f"{at}/models/triage@2": "document.body.innerText.includes('missed')",
        f"{at}/%3Cimg%20src=x%20onerror=alert(1)%3E": "document.body.innerText.includes('no such page')",
    }
    for path, until in pages.items():
        go(tab, path, until)
        assert tab.run("document.querySelectorAll('main img, main script, main iframe, [onerror]').length") == 0, path
        if "%3C" not in path:
            assert "<img src=x onerror=" in tab.text(), path
    go(tab, f"{at}/runs", "document.querySelector('tr[data-run]')")


def test_what_a_run_writes_is_on_the_page_at_once(tab: Tab, application: Path) -> None:
    state, run, at = StateDirectory(application), run_id(140), place(tab)
    lock = RunLock(state.lock)
    lock.acquire(run, "app")
    write_run(application, 140, ended="")
    try:
        tab.wait_for("document.querySelector('tr[data-run] a').textContent === '140'")
        go(tab, f"{at}/runs/140", "document.querySelector('h1').textContent.endsWith('run 140')")
        assert "running" in tab.text()
        output = state.work / "k140" / "output"
        output.mkdir(parents=True)
        (output / "metrics.jsonl").write_text('{"step": 1, "loss": 5}\n{"step": 2, "loss": 4}\n')
        with Journal(state.journal(run)) as journal:
            journal.append(seen(START, "train/triage", "worker-started", attempt=1, rank=0, pid=1))
            tab.wait_for("document.body.innerText.includes('1 worker')")
            tab.wait_for(
                "document.querySelector('.chart') && document.querySelector('.chart').innerText.includes('loss: 4')"
            )
            with (output / "metrics.jsonl").open("a") as file:
                file.write('{"step": 3, "loss": 3.5}\n')
            tab.wait_for("document.querySelector('.chart').innerText.includes('loss: 3.5')")
            result = result_to_json(RegisterResult(version=1, digest="sha256:0", accepted=True))
            journal.append(seen(START, "train/triage", "step-ended", state="done", result=result))
            journal.append(seen(START, "run", "run-ended", state="done"))
        tab.wait_for("document.querySelector('main .state').textContent.includes('done')")
    finally:
        lock.release()
    tab.wait_for("!document.querySelector('.head button.danger')")


def test_a_log_is_read_by_pages_searched_and_followed(tab: Tab, application: Path) -> None:
    at = place(tab)
    go(tab, f"{at}/runs/131/log/train%2Ftriage%2F1-0.log", "document.querySelector('.log pre')")
    assert "line 29999 " in tab.run("document.querySelector('.log').innerText.slice(-200)")
    tab.run("document.querySelector('.log').scrollTop = 0")
    tab.wait_for("document.querySelectorAll('.log pre').length > 1")
    assert tab.run("document.querySelector('.log').innerText.length") < 1_000_000
    tab.press("/")
    tab.run("document.execCommand('insertText', false, 'line 12345 ')")
    tab.press("Enter")
    tab.wait_for("document.querySelector('.log mark')")
    # What comes before it may be read in at any moment; the place stays where it is.
    tab.wait_for("document.querySelector('.log mark').textContent === 'line 12345 '")
    above = "document.querySelector('.log mark').getBoundingClientRect().top - document.querySelector('.log').getBoundingClientRect().top"
    tab.wait_for(f"0 <= {above} && {above} < document.querySelector('.log').clientHeight")
    deep = tab.run("location.href")
    assert "at=" in deep
    tab.run("[...document.querySelectorAll('main button')].find((each) => each.textContent === 'End').click()")
    tab.wait_for("document.querySelector('.log').innerText.includes('line 29999 ')")
    with StateDirectory(application).log(run_id(131), "train/triage", 1, 0).open("a") as file:
        file.write("one more line\n")
    tab.wait_for("document.querySelector('.log').innerText.includes('one more line')")


def test_a_sweep_shows_its_best_and_sorts_its_trials(tab: Tab) -> None:
    for key in ("g", "w"):
        tab.press(key)
    tab.wait_for("document.querySelector('h1').textContent === 'Sweeps' && document.querySelector('tr[data-run] a')")
    assert rows(tab) == ["129"]
    tab.click("tr[data-run] a")
    tab.wait_for("document.querySelectorAll('tr[data-trial]').length === 4")
    assert "trial 2: score 1 with" in tab.text()
    assert tab.run("document.querySelector('tr.chosen').dataset.trial") == "2"
    tab.run("[...document.querySelectorAll('th button')].find((each) => each.textContent === 'trial').click()")
    tab.wait_for("document.querySelector('th[aria-sort=ascending] button').textContent.startsWith('trial')")
    assert (
        tab.run("[...document.querySelectorAll('tr[data-trial]')].map((each) => each.dataset.trial).join('')") == "1234"
    )


def test_keys_lead_to_rooms_and_rows(tab: Tab) -> None:
    for key in ("g", "m"):
        tab.press(key)
    tab.wait_for("document.querySelector('h1').textContent === 'Models'")
    for key in ("g", "r"):
        tab.press(key)
    tab.wait_for("document.querySelectorAll('tr[data-run]').length > 2")
    for key in ("j", "j", "x", "k", "x"):
        tab.press(key)
    assert tab.run("document.querySelectorAll('tr input:checked').length") == 2
    tab.run("[...document.querySelectorAll('main button')].find((each) => each.textContent === 'Compare').click()")
    tab.wait_for("document.body.innerText.includes('What changed')")
    tab.press("?")
    assert tab.run("document.getElementById('dialog').open")
    tab.press("Escape")


def test_an_act_asks_first_and_tells_how_it_ended(tab: Tab, application: Path) -> None:
    lock = RunLock(StateDirectory(application).lock)
    idle = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "getpid", lambda: idle.pid)
        lock.acquire(run_id(131), "app")
    at = place(tab)
    try:
        go(tab, f"{at}/runs/131", "document.querySelector('.head button.danger')")
        tab.click(".head button.danger")
        assert tab.run("document.activeElement.textContent") == "Leave it"
        tab.click("dialog button:not(.danger)")
        time.sleep(0.2)
        assert idle.poll() is None
        tab.click(".head button.danger")
        tab.click("dialog button.danger")
        assert idle.wait(20) == -signal.SIGTERM
        lock.release()
        tab.wait_for("document.querySelector('.act').innerText.includes('stopped run')")
        tab.click(".act button")
    finally:
        idle.kill()
        idle.wait()
        lock.release()


@pytest.mark.skipif(not AXE.exists(), reason="needs axe-core (scripts/test-packages)")
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)])
def test_every_page_can_be_used_by_everybody(tab: Tab, scheme: str, width: int) -> None:
    at = place(tab)
    pages: dict[str, Any] = {
        "runs": "document.querySelector('tr[data-run]')",
        "runs/131": "document.querySelector('.chart')",
        "runs/130": "document.querySelector('h1').textContent.endsWith('run 130')",
        "runs/131/log/train%2Ftriage%2F1-0.log": "document.querySelector('.log pre')",
        "compare/1/2": "document.body.innerText.includes('What changed')",
        "sweeps": "document.querySelector('tr[data-run]')",
        "sweeps/129": "document.querySelectorAll('tr[data-trial]').length === 4",
        "models": "document.body.innerText.includes('triage@2')",
        "models/triage@2": "document.querySelector('svg.flow')",
        "services": "document.querySelector('h1').textContent === 'Services'",
        "devices": "document.body.innerText.includes('cab-3')",
        "checks": "document.body.innerText.includes('plimsoll-lab')",
        "checks/plimsoll-lab": "document.body.innerText.includes('MUSTs shown')",
    }
    tab.size(width)
    tab.scheme(scheme)
    for path, until in pages.items():
        go(tab, f"{at}/{path}", until)
        assert tab.axe() == [], path
        assert tab.run("document.documentElement.scrollWidth <= innerWidth"), path


def test_pages_that_nobody_sees_leave_the_connections_to_the_one_that_is_seen(tab: Tab, url: str) -> None:
    for _ in range(8):
        tab.open("about:blank")
        tab.wait_for("location.href === 'about:blank'")
        tab.open(url)
        tab.wait_for("document.querySelector('tr[data-run]')", 40)
        tab.wait_for("document.getElementById('live').textContent === 'live'", 40)
