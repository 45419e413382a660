"""Groups by label from the command line: a device joins, is labelled, listed, and goes to another group."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from plimsoll.cli.main import plimsoll
from plimsoll.edge.agent.agent import Agent
from plimsoll.edge.agent.disk import AgentDisk
from plimsoll.edge.tokens import decode_token
from plimsoll.errors import FileError
from tests.servers import registry

FILE = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: t}
spec:
  targets: {north: {devices: {site: north}}}
  models: {m: {train: {run: python train.py}}}
  services: {m: {model: m, telemetry: {audit: true}}}
  edges:
    north: {target: north, services: [m], registry: PLACE}
    south: {devices: {site: south}, services: [m], registry: PLACE}
"""


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "train.py").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "registry").mkdir()
    with registry(tmp_path / "registry", in_memory=True) as place:
        (tmp_path / "plimsoll.yaml").write_text(FILE.replace("PLACE", f"{place.host}/t"))
        yield tmp_path


def edge(*words: str) -> str:
    ended = CliRunner().invoke(plimsoll, ["edge", *words], standalone_mode=False)
    if ended.exception is not None:
        raise ended.exception
    return ended.stdout


def test_a_device_is_listed_by_its_labels_and_goes_where_they_belong(directory: Path) -> None:
    told = json.loads(edge("enroll", "north", "cab-1", "--label", "floor=2", "--json"))
    assert told["labels"] == {"site": "north", "floor": "2"}
    disk = AgentDisk(directory / "cab-1")
    agent = Agent(disk, disk.enrol(decode_token(told["token"])), lambda _: None)
    agent.sync()
    listed = edge("list", "north")
    assert ("cab-1  release none" in listed, "site=north, floor=2" in listed) == (True, True)
    assert "cab-1" in edge("list", "--label", "floor=2")
    assert "north has no device with floor=3" in edge("list", "--label", "floor=3")

    assert "cab-1 has site=south and goes from north to south" in edge(
        "label", "north", "cab-1", "site=south", "floor-"
    )
    agent.sync()
    found: Any = {each["group"]: each for each in json.loads(edge("list", "--json"))["groups"]}
    assert found["north"]["devices"]["cab-1"]["moved"].endswith("/edge/south")
    assert found["south"]["devices"]["cab-1"]["report"]["device"] == "cab-1"
    agent.close()
    assert "moved to south" in edge("list", "north")
    assert "see plimsoll edge show south cab-1" in edge("show", "north", "cab-1")
    with pytest.raises(FileError, match="was enrolled here, and has moved to south"):
        edge("enroll", "north", "cab-1")


@pytest.mark.slow
def test_what_is_left_of_a_log_and_the_drift_of_none_are_told(directory: Path) -> None:
    pytest.importorskip("scipy")
    (directory / "sent").mkdir()
    assert "no answers to compare" in edge("drift", "north", "--logs", "sent")
    told = json.loads(edge("drift", "north", "--logs", "sent", "--json"))
    assert (told["together"], told["devices"], told["notes"]) == ([], {}, [])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("label", "west", "cab-1", "a=b"), "there is no group 'west'"),
        (("label", "north", "cab-9", "a=b"), "there is no device 'cab-9'"),
        (("list", "--label", "site"), "is no label"),
        (("enroll", "north", "cab-2", "--label", "site=south"), "takes devices with site=north"),
        (("drift", "west", "--logs", "."), "there is no group 'west'"),
    ],
)
def test_a_wrong_word_is_answered_in_one_sentence(directory: Path, words: tuple[str, ...], message: str) -> None:
    with pytest.raises(FileError, match=message):
        edge(*words)
