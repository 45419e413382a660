"""Groups of devices in the file: what is refused with its place, and that a run has no steps for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.errors import FileError
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


def load(directory: Path, edge: str) -> list[str]:
    for name in ("train.py", "serve.py"):
        (directory / name).write_text("")
    path = directory / "plimsoll.yaml"
    path.write_text(FILE.replace("EDGE", edge))
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


def test_a_run_makes_and_tests_the_services_and_nothing_else(tmp_path: Path) -> None:
    assert load(tmp_path, PLACE) == ["train/m", "register/m", "serve/a", "serve/b"]
