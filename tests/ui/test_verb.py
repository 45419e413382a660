"""`plimsoll ui` as a process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.ui.journals import write_run

UI = [sys.executable, "-m", "plimsoll", "ui"]


def refused(*arguments: str, directory: Path) -> tuple[int, str]:
    ended = subprocess.run([*UI, *arguments], cwd=directory, capture_output=True, text=True, timeout=50, check=False)
    assert ended.stdout == ""
    return ended.returncode, ended.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_its_address_serves_who_has_it_and_ends_in_good_order(tmp_path: Path, number: int) -> None:
    write_run(tmp_path, 1, application="triage")
    process = subprocess.Popen(
        [*UI, str(tmp_path), "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ.copy()
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        address, _, token = json.loads(process.stdout.readline())["url"].partition("#token=")
        assert address.startswith("http://127.0.0.1:")
        asked = urllib.request.Request(f"{address}api/places", headers={"authorization": f"Bearer {token}"})
        with urllib.request.urlopen(asked, timeout=50) as answer:
            assert json.load(answer)["places"][0]["application"] == "triage"
        # A page that is open does not hold up the end.
        stream = urllib.request.Request(f"{address}api/events", headers={"authorization": f"Bearer {token}"})
        with urllib.request.urlopen(stream, timeout=50):
            process.send_signal(number)
            assert process.wait(50) == 0
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.communicate()


def test_a_directory_without_an_application_is_refused(tmp_path: Path) -> None:
    status, said = refused(directory=tmp_path)
    assert (status, "there is no application and no evidence bundle here" in said) == (2, True)
    assert "plimsoll ui DIRECTORY" in said
    assert refused("nowhere", directory=tmp_path)[0] == 2


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    write_run(tmp_path, 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, said = refused("--port", str(port), directory=tmp_path)
    assert status == 1
    assert f"127.0.0.1:{port}: the port cannot be used" in said
    assert "--port" in said
