"""Verbs without a target over two clusters: promotions, rollbacks, sweeps, services kept up, and detached runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from plimsoll.cli.main import main
from tests.cli.ended import Ended, one_object
from tests.targets.kubernetes.bench import Pod
from tests.targets.kubernetes.two_clusters import PARTS, Two, two_clusters

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

Plimsoll = Callable[..., Ended]
BOTH = PARTS + "    rank: {model: triage, target: onprem}\n"


@pytest.fixture
def two(quick: None, monkeypatch: pytest.MonkeyPatch, base: Path, tmp_path: Path) -> Iterator[Two]:
    with two_clusters(monkeypatch, base, tmp_path) as made:
        yield made


@pytest.fixture
def plimsoll(two: Two, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Plimsoll]:
    """The command in this process, in the application's directory."""
    monkeypatch.chdir(two.directory)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def plimsoll(*arguments: str) -> Ended:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["plimsoll", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        told = capsys.readouterr()
        open("/tmp/w/verbs.log", "a").write(
            f"$ {arguments} {caught.value.code}\n{told.out[-2500:]}\n{told.err[-2500:]}\n"
        )
        return Ended(int(caught.value.code or 0), told.out, told.err)

    yield plimsoll
    for number, handler in handlers.items():
        signal.signal(number, handler)


def retrain(two: Two, content: str) -> None:
    metrics = json.dumps({"accuracy": 0.9})
    two.onprem.does("train/triage", lambda pod: pod.leave(model_onnx=content, metrics_json=metrics))
    (two.directory / "train.py").write_text(f"# {content}\n")


def test_a_version_is_promoted_and_rolled_back_in_the_service_that_is_named_wherever_it_is(
    two: Two, plimsoll: Plimsoll
) -> None:
    two.file(BOTH.replace("{model: triage, target: cloud}", "{model: triage@1, target: cloud}"))
    base = ("--base", f"rootfs:{two.onprem.base}")
    two.file(PARTS.partition("  services")[0])
    assert plimsoll("run", *base).status == 0
    retrain(two, "better")
    assert plimsoll("run", *base).status == 0
    two.file(BOTH.replace("{model: triage, target: cloud}", "{model: triage@1, target: cloud}"))
    assert plimsoll("run", *base).status == 0

    unnamed = plimsoll("promote", "triage@2", "--force")
    moved = plimsoll("promote", "triage@2", "--service", "api", "--force")
    st = plimsoll("status")
    back = plimsoll("rollback", "api")


def test_a_sweep_trains_on_its_target_and_serves_the_winner_on_the_other(two: Two, plimsoll: Plimsoll) -> None:
    (two.directory / "train.py").write_text("import os\nos.environ['PLIMSOLL_PARAM_LR']\n")

    def train(pod: Pod) -> None:
        variables = {each["name"]: each.get("value") for each in pod.running.pod["spec"]["containers"][0]["env"]}
        open("/tmp/w/verbs.log", "a").write(str(variables)[:1500] + "\n")
        pod.leave(model_onnx="weights", metrics_json=json.dumps({"accuracy": 0.9}))

    two.onprem.does("train/triage", train)
    two.file("  parameters: {lr: 0.1}\n" + PARTS)
    base = ("--base", f"rootfs:{two.onprem.base}")
    swept = plimsoll("sweep", "--grid", "lr=0.1,0.2", "--objective", "accuracy", "--maximize", *base)
    swept = plimsoll("sweep", "--grid", "lr=0.1,0.2", "--maximize", "accuracy", *base)
    plimsoll("status")


def test_up(two: Two, plimsoll: Plimsoll) -> None:
    two.file(PARTS)
    base = ("--base", f"rootfs:{two.onprem.base}")
    plimsoll("up", *base)
    plimsoll("up", "api", *base)


def test_detach(two: Two, plimsoll: Plimsoll) -> None:
    two.file(PARTS)
    base = ("--base", f"rootfs:{two.onprem.base}")
    plimsoll("run", "--detach", *base)
    for _ in range(60):
        time.sleep(1)
        st = plimsoll("runs", "--json")
        if "running" not in st.out:
            break
    plimsoll("attach")
    plimsoll("status")
