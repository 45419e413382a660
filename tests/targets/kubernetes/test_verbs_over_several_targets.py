"""Verbs without a target over two clusters: promotions, rollbacks, sweeps, services kept up, and detached runs."""

from __future__ import annotations

import json
import signal
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from plimsoll.cli.main import main
from tests.cli.ended import Ended, one_object
from tests.targets.kubernetes.two_clusters import PARTS, Two, two_clusters

pytestmark = [pytest.mark.slow, pytest.mark.series, pytest.mark.timeout(400)]

Plimsoll = Callable[..., Ended]
TRAINING = PARTS.partition("  services")[0]
PINNED = PARTS.replace("{model: triage,", "{model: triage@1,") + "    rank: {model: triage, target: onprem}\n"
# This Python has numpy, which the one on PATH may lack.
NEAR = f"    near: {{run: {sys.executable} near.py, inputs: {{x: {{datatype: FP64, shape: [-1]}}}}, target: local}}\n"


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
        return Ended(int(caught.value.code or 0), told.out, told.err)

    yield plimsoll
    for number, handler in handlers.items():
        signal.signal(number, handler)


def trains(two: Two, content: str, accuracy: float = 0.9, step: str = "train/triage") -> None:
    """Have a training leave a model of this content; its code has changed."""
    metrics = json.dumps({"accuracy": accuracy})
    two.onprem.does(step, lambda pod: pod.leave(model_onnx=content, metrics_json=metrics))
    (two.directory / "train.py").write_text(f"# {content}\n")


def inferred(url: str, tensor: Mapping[str, object]) -> list[float]:
    """What a service of this machine answers."""
    request = urllib.request.Request(f"{url}/v2/models/near/infer", json.dumps({"inputs": [tensor]}).encode())
    with urllib.request.urlopen(request, timeout=30) as answer:  # of a service on this machine
        found: list[float] = json.load(answer)["outputs"][0]["data"]
    return found


def served(two: Two, service: str) -> str:
    """The versions that a service has on its cluster, as its record says."""
    bench = two.cloud if service == "api" else two.onprem
    record = bench.find("ConfigMap", f"shop-{service}-served")
    assert record is not None
    return ",".join(each["version"] for each in json.loads(record["data"]["served.json"])["file"]["models"])


def test_a_version_is_promoted_and_rolled_back_in_the_service_that_is_named_wherever_it_is(
    two: Two, plimsoll: Plimsoll
) -> None:
    base = ("--base", f"rootfs:{two.onprem.base}")
    for content in ("first", "second"):
        trains(two, content)
        two.file(TRAINING)
        assert plimsoll("run", *base).status == 0
    two.file(PINNED)
    assert plimsoll("run", *base).status == 0
    assert (served(two, "api"), served(two, "rank")) == ("1", "2")

    unnamed = plimsoll("promote", "triage@2", "--force")
    assert unnamed.status == 2
    assert "services are up on 2 targets" in unnamed.error
    assert "--service api or rank" in unnamed.error
    assert plimsoll("promote", "triage@2", "--service", "api", "--force").status == 0
    assert (served(two, "api"), served(two, "rank")) == ("2", "2")
    assert plimsoll("rollback", "api").status == 0
    assert plimsoll("promote", "triage@1", "--service", "rank", "--force").status == 0
    assert (served(two, "api"), served(two, "rank")) == ("1", "1")


def test_a_sweep_trains_where_the_rows_are_and_what_is_best_is_served_where_the_file_says(
    two: Two, plimsoll: Plimsoll
) -> None:
    for trial, accuracy in (("1", 0.7), ("2", 0.8)):
        trains(two, f"of trial {trial}", accuracy, f"train/triage.{trial}")
    (two.directory / "train.py").write_text("import os\nos.environ['PLIMSOLL_PARAM_LR']\n")
    two.file("  parameters: {lr: 0.1}\n" + PARTS)
    base = ("--base", f"rootfs:{two.onprem.base}")
    swept = plimsoll("sweep", "--grid", "lr=0.1,0.2", "--objective", "accuracy", "--maximize", *base)
    assert swept.status == 0, swept.err
    assert {pod.task.step for pod in two.onprem.begun} == {"run/features", "train/triage.1", "train/triage.2"}
    assert not two.cloud.begun

    ran = plimsoll("run", "--set", "lr=0.2", *base)
    assert ran.status == 0, ran.err
    assert [pod.task.step for pod in two.onprem.begun].count("train/triage") == 0
    assert served(two, "api") == "1"


def test_services_of_clusters_are_told_of_by_up_and_those_of_this_machine_are_kept_up(
    two: Two, plimsoll: Plimsoll
) -> None:
    (two.directory / "near.py").write_text("def predict(inputs):\n    return {'y': inputs['x'] * 2}\n")
    two.file(PARTS)
    none = plimsoll("up")
    assert none.status == 2
    assert "no service of the file is on this machine" in none.error
    named = plimsoll("up", "api")
    assert named.status == 2
    assert "service 'api' is on cloud" in named.error

    two.file(PARTS + NEAR)
    try:
        up = plimsoll("up", "--json")
        assert up.status == 0, up.err
        services = one_object(up)["services"]
        assert list(services) == ["near"]
        tensor = {"name": "x", "datatype": "FP64", "shape": [1], "data": [2.0]}
        assert inferred(services["near"]["url"], tensor) == [4.0]
        assert not two.onprem.begun
        assert not two.cloud.objects("Deployment", "apps/v1")
    finally:
        down = plimsoll("down")
    assert "near" in down.out


def test_a_detached_run_goes_on_over_both_clusters_and_is_attached_to(two: Two, plimsoll: Plimsoll) -> None:
    two.onprem.does("run/rows", lambda pod: pod.leave(rows_csv="a\n1\n"))
    two.cloud.does("run/more", lambda pod: pod.leave(more_csv="b\n2\n"))
    two.file("""\
  datasets:
    rows: {run: python make.py, outputs: [rows.csv], target: onprem}
    more: {run: python prepare.py, inputs: [rows/rows.csv], outputs: [more.csv], target: cloud}
""")
    begun = plimsoll("run", "--detach", "--base", f"rootfs:{two.onprem.base}")
    assert begun.status == 0, begun.err
    assert "`plimsoll attach` follows it" in begun.out
    attached = plimsoll("attach")
    assert attached.status == 0, attached.err
    assert "run/rows went from onprem to cloud" in attached.out
    assert two.begun() == ["run/more", "run/rows"]
