"""Groups of devices in the file: what is refused with its place, and that a run has no steps for them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from plimsoll.errors import FileError
from plimsoll.kinds.edge import EDGES
from plimsoll.kinds.table import KINDS
from plimsoll.planning.facts import TargetFacts

FILE = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: t}
spec:
  models: {m: {train: {run: python train.py}}}
  services: {a: {model: m}, b: {run: python serve.py}}
  edges:
    cabs: {EDGE}
"""
LABELLED = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: t}
spec:
  targets: {TARGETS}
  models: {m: {train: {run: python train.py}}}
  services: {a: {model: m, SERVICE}}
  edges:
    cabs: {services: [a], registry: r.example/x, GROUP}
    buses: {services: [a], registry: r.example/x, devices: {site: south}}
"""


def load(directory: Path, edge: str, words: Mapping[str, str] | None = None, text: str = FILE) -> list[str]:
    for name in ("train.py", "serve.py"):
        (directory / name).write_text("")
    path = directory / "plimsoll.yaml"
    for word, value in {"EDGE": edge, **(words or {})}.items():
        text = text.replace(word, value)
    path.write_text(text)
    file = KINDS.load(path)
    KINDS.check(file)
    facts = TargetFacts(target="local", cpu=2.0, memory=2**30)
    return [step.name for step in KINDS.plan(file, KINDS.workspace(file, directory / "digests.json"), facts).steps]


PLACE = "services: [a], registry: r.example/x"


@pytest.mark.parametrize(
    ("edge", "place", "message"),
    [
        ("services: [c], registry: r.example/x", "8:23", "there is no service 'c'"),
        ("services: [a, a], registry: r.example/x", "8:26", "stands here twice"),
        ("services: [b], registry: r.example/x", "8:23", "services of one model"),
        ("services: [], registry: r.example/x", "8:22", "at least 1"),
        ('services: [a], registry: "r.example/Ä"', "8:37", "cannot be a repository"),
        ("services: [a]", "8:5", "no key 'registry'"),
        (f"{PLACE}, rollout: [5%]", "8:59", "do not grow to 100%"),
        (f"{PLACE}, rollout: [50%, 5%, 100%]", "8:59", "do not grow to 100%"),
        (f"{PLACE}, rollout: [0.5, 100%]", "8:60", "5%"),
        (f"{PLACE}, sync: 10ms", "8:56", "more often than once a second"),
        (f"{PLACE}, hold: 1h, limit: 1h", "8:67", "not longer than its hold"),
    ],
)
def test_a_mistake_in_a_group_is_named_with_its_place(tmp_path: Path, edge: str, place: str, message: str) -> None:
    with pytest.raises(FileError) as raised:
        load(tmp_path, edge)
    assert message in str(raised.value)
    assert f"plimsoll.yaml:{place}" in raised.value.where


@pytest.mark.parametrize(
    ("given", "place", "message"),
    [
        ({"GROUP": "devices: {site: no rth}"}, "9:", "the value of a label"),
        ({"GROUP": "devices: {}"}, "9:", "names no label"),
        ({"TARGETS": "n: {devices: {}}"}, "5:", "names no label"),
        ({"GROUP": "devices: {site: south}"}, "9:5", "every device of 'cabs' is one of 'buses' too"),
        ({"GROUP": "devices: {site: south, kind: cab}"}, "9:5", "every device of 'cabs' is one of 'buses' too"),
        ({"GROUP": "target: north"}, "9:58", "no target 'north' with `devices`"),
        ({"GROUP": "target: here", "TARGETS": "here: {local: true}"}, "9:58", "no target 'here' with `devices`"),
        (
            {"GROUP": "target: n, devices: {a: b}", "TARGETS": "n: {devices: {site: north}}"},
            "9:50",
            "names its devices twice",
        ),
        ({"TARGETS": "n: {devices: {site: north}, context: c}"}, "5:13", "is devices, and a context"),
        ({"TARGETS": "n: {devices: {site: north}, route: r.example/x}"}, "5:41", "only for a context"),
        ({"TARGETS": "n: {}"}, "5:13", "neither `context`, `local` nor `devices`"),
        (
            {"TARGETS": "n: {devices: {site: north}}", "SERVICE": "target: n"},
            "7:36",
            "is devices at the edge, and they run services alone",
        ),
    ],
)
def test_labels_that_cannot_be_are_named_with_their_place(
    tmp_path: Path, given: dict[str, str], place: str, message: str
) -> None:
    words = {"GROUP": "sync: 60s", "TARGETS": "", "SERVICE": "port: 8080", **given}
    with pytest.raises(FileError) as raised:
        load(tmp_path, "", words, LABELLED)
    assert message in f"{raised.value} {raised.value.hint}"
    assert f"plimsoll.yaml:{place}" in raised.value.where


@pytest.mark.parametrize(
    ("upload", "telemetry", "word", "message"),
    [
        ("send: none, sample: 5%", "audit: true", "sample", "`send: none` sends nothing, and `sample` says"),
        ("send: none, budget: 1Mi", "audit: true", "budget", "`send: none` sends nothing, and `budget` says"),
        ("sample: 5%", "audit: false", "upload", "no service of the group has a log"),
        ("uncertain: 0.2", "audit: true", "uncertain", "logs no outputs, by which `uncertain` chooses"),
        ("changed: 1", "payloads: true", "upload", "no service of the group has a log"),
        ("changed: 1", "access: true, payloads: true", "changed", "logs no outputs, by which `changed` chooses"),
        ("sample: 0%", "access: true", "sample", "a sample of 0% is none"),
        ("uncertain: 1.5", "audit: true", "uncertain", "1"),
        ("budget: 10Ki", "access: true", "budget", "at least 256Ki"),
        ("first: middle", "access: true", "first", "newest"),
    ],
)
def test_a_rule_of_what_is_sent_that_cannot_be_is_named_with_its_place(
    tmp_path: Path, upload: str, telemetry: str, word: str, message: str
) -> None:
    words = {"GROUP": f"upload: {{{upload}}}", "TARGETS": "", "SERVICE": f"telemetry: {{{telemetry}}}"}
    with pytest.raises(FileError) as raised:
        load(tmp_path, "", words, LABELLED)
    assert message in f"{raised.value} {raised.value.hint}"
    assert "plimsoll.yaml:9:" in raised.value.where
    (line,) = [each for each in (tmp_path / "plimsoll.yaml").read_text().splitlines() if "cabs" in each]
    column = int(raised.value.where.rsplit(":", 1)[1]) - 1
    assert line[column:].startswith(word) or line[:column].rstrip().endswith(f"{word}:")


def test_a_group_takes_its_labels_from_a_target_of_devices(tmp_path: Path) -> None:
    words = {"GROUP": "target: n", "TARGETS": "n: {devices: {site: north}}", "SERVICE": "port: 8080"}
    load(tmp_path, "", words, LABELLED)
    application = KINDS.load(tmp_path / "plimsoll.yaml").application
    assert EDGES.selectors(application) == {"cabs": {"site": "north"}, "buses": {"site": "south"}}


def test_a_run_makes_and_tests_the_services_and_nothing_else(tmp_path: Path) -> None:
    assert load(tmp_path, PLACE) == ["train/m", "register/m", "serve/a", "serve/b"]
