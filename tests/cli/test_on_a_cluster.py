"""The verbs against a cluster in memory: exit statuses, refusals in one sentence, and nothing of others touched."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from plimsoll.cli.main import main
from plimsoll.engine.runner import Engine
from plimsoll.evidence.journal import Journal
from plimsoll.kinds.dataset import RunCommand
from plimsoll.kubernetes.memory import MemoryCluster
from plimsoll.planning.steps import Plan, Step
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.kubernetes import leases
from plimsoll.targets.memory import MemoryTarget
from tests.cli.ended import Ended, one_object
from tests.servers import registry
from tests.targets.kubernetes.promotion_bench import Bench, bench_on, quicken, weights_of

pytestmark = pytest.mark.slow

RUN = "20260101-000000-000001"
PACE = ("--steps", "10,100", "--requests", "50", "--hold", "0", "--limit", "20")
FILE = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: app}
spec:
  models:
    triage:
      train: {run: python train.py, code: [train.py]}
  services:
    triage: {model: %s}
"""


Plimsoll = Callable[..., Ended]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry(tmp_path_factory.mktemp("registry")) as found:
        yield f"{found.host}/tests"


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> Iterator[MemoryCluster]:
    """A cluster that says where its registry is, as KEP-1755 has it."""
    (tmp_path / "plimsoll.yaml").write_text(FILE % "triage")
    (tmp_path / "train.py").write_text("")
    with MemoryCluster(["gateway"]) as found:
        quicken(monkeypatch, found, tmp_path)
        hosting = {"localRegistryHosting.v1": f"host: {place}\nhostFromClusterNetwork: {place}\n"}
        metadata = {"name": "local-registry-hosting", "namespace": "kube-public"}
        found.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": hosting})
        yield found


@pytest.fixture
def bench(cluster: MemoryCluster, tmp_path: Path, place: str) -> Iterator[Bench]:
    """The application has been run on the cluster, and its service is up behind a gateway."""
    state = StateDirectory(tmp_path, cluster.context)
    state.make()
    ran(state)
    with bench_on(cluster, tmp_path, place) as found:
        found.with_gateway().serve()
        yield found


@pytest.fixture
def plimsoll(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Plimsoll]:
    """The command in this process, in the application's directory, against the cluster unless another is named."""
    monkeypatch.chdir(tmp_path)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def plimsoll(*arguments: str, target: str = "memory") -> Ended:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["plimsoll", *arguments, "--target", target])
        with pytest.raises(SystemExit) as caught:
            main()
        told = capsys.readouterr()
        return Ended(int(caught.value.code or 0), told.out, told.err)

    yield plimsoll
    for number, handler in handlers.items():
        signal.signal(number, handler)


def ran(state: StateDirectory) -> None:
    """A run that is done, with a step that has written something."""
    place = MemoryTarget(state=state)
    step = Step(part="numbers", key="k1", work=RunCommand(command="python make.py"))
    with Journal(state.journal(RUN)) as journal:
        assert Engine(place, journal).run(
            Plan(application="app", target="memory", steps=(step,)), place.facts(), run=RUN
        )
    state.log(RUN, "run/numbers", 1, 0).write_text("ten rows\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("logs",),
        ("report",),
        ("promote", "triage@2"),
        ("rollback", "triage"),
        ("report", "--run", RUN),
    ],
)
def test_where_nothing_has_been_run_every_verb_says_so_and_how_to_run(
    cluster: MemoryCluster, plimsoll: Plimsoll, arguments: tuple[str, ...]
) -> None:
    ended = plimsoll(*arguments)
    assert ended.status == 2
    assert "the application has not run on memory yet" in ended.error
    assert "plimsoll run -f plimsoll.yaml --target memory" in ended.error
    told = one_object(plimsoll(*arguments, "--json"))
    assert set(told["error"]) == {"message", "where", "hint"}
    assert not cluster.seen()


def test_where_nothing_has_been_run_nothing_is_up_and_nothing_is_to_be_removed(
    cluster: MemoryCluster, plimsoll: Plimsoll
) -> None:
    assert "the application has not run on memory yet" in plimsoll("status").error
    ended = plimsoll("down")
    assert (ended.status, ended.out) == (0, "nothing is running on memory\n")
    assert one_object(plimsoll("down", "--json")) == {"stopped": None, "removed": [], "kept": []}


@pytest.mark.parametrize(
    "arguments",
    [("down",), ("status",), ("promote", "triage@1"), ("plan",), ("predict", "triage", "--input", "r.json")],
)
def test_a_context_that_the_kubeconfig_does_not_have_is_refused(
    bench: Bench, plimsoll: Plimsoll, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "r.json").write_text("{}")
    state = StateDirectory(tmp_path, "nowhere")
    state.make()
    ran(state)
    ended = plimsoll(*arguments, target="nowhere")
    assert ended.status in (1, 2)
    assert "nowhere" in ended.error


def test_status_tells_the_run_and_where_the_service_is_up(bench: Bench, plimsoll: Plimsoll) -> None:
    ended = plimsoll("status")
    assert (ended.status, ended.err) == (0, "")
    assert "app on memory: done" in ended.out
    assert "triage is running at http://127.0.0.1/triage" in ended.out
    assert "promotion" not in ended.out
    told = one_object(plimsoll("status", "--json"))
    assert (told["application"], told["run"], told["state"]) == ("app", RUN, "done")


def test_status_tells_of_a_promotion_that_goes_on_and_of_one_that_was_cut_off(bench: Bench, plimsoll: Plimsoll) -> None:
    mover = bench.mover()
    with pytest.raises(ZeroDivisionError), mover.exclusive():
        mover.add("1", "2")
        assert "a promotion is running, by " in plimsoll("status").out
        raise ZeroDivisionError("cut off")
    assert "a promotion was interrupted; its weights stay until the next plimsoll promote" in plimsoll("status").out


def test_status_without_the_right_to_leases_tells_all_the_rest(bench: Bench, plimsoll: Plimsoll) -> None:
    bench.cluster.deny(resource="leases")
    ended = plimsoll("status")
    assert ended.status == 0
    assert "triage is running" in ended.out


def test_logs_print_what_the_steps_of_that_target_wrote(bench: Bench, plimsoll: Plimsoll) -> None:
    assert plimsoll("logs").out == "run/numbers 1-0 │ ten rows\n"
    assert plimsoll("logs", "numbers").out == "run/numbers 1-0 │ ten rows\n"
    (log,) = one_object(plimsoll("logs", "--json"))["logs"]
    assert (log["step"], log["text"]) == ("run/numbers", "ten rows\n")
    refused = plimsoll("logs", "letters")
    assert refused.status == 1
    assert "has no step 'letters'" in refused.error
    assert "there is no run 'yesterday'" in plimsoll("logs", "--run", "yesterday").error


def test_a_report_lies_beside_the_run_of_that_target(bench: Bench, plimsoll: Plimsoll, tmp_path: Path) -> None:
    ended = plimsoll("report")
    assert ended.status == 0
    path = Path(ended.out.strip())
    assert path.is_relative_to(StateDirectory(tmp_path, "memory").root)
    assert "<html" in path.read_text()
    assert one_object(plimsoll("report", "--json")) == {"report": str(path)}


def test_promote_moves_the_service_and_says_each_step(bench: Bench, plimsoll: Plimsoll) -> None:
    ended = plimsoll("promote", "triage@2", *PACE)
    assert (ended.status, ended.err) == (0, "")
    lines = [line for line in ended.out.splitlines() if not line.startswith("waiting: ")]
    assert lines[0] == "10 % of the requests go to triage@2"
    assert lines[-2:] == [
        "100 % of the requests go to triage@2",
        "service triage: triage@2 answers all requests (no worse at any step)",
    ]
    assert [each.version for each in bench.record().file.models] == ["2"]
    again = plimsoll("promote", "triage@2", *PACE)
    assert again.status == 1
    assert "service triage already sends its requests to triage@2" in again.error
    back = plimsoll("rollback", "triage")
    assert (back.status, back.err) == (0, "")
    assert back.out.splitlines()[-1] == "service triage: version 1 answers all requests (rolled back from version 2)"
    assert [each.version for each in bench.record().file.models] == ["1"]


def test_rollback_without_a_promotion_or_a_service_says_what_to_do(bench: Bench, plimsoll: Plimsoll) -> None:
    before = bench.specs()
    first = plimsoll("rollback", "triage")
    assert (first.status, "plimsoll rollback triage --to triage@VERSION" in first.error) == (1, True)
    other = plimsoll("rollback", "wards")
    assert (other.status, "no service is on memory by the name wards" in other.error) == (1, True)
    assert bench.specs() == before


def test_promote_ends_with_1_and_one_object_when_the_version_is_worse(bench: Bench, plimsoll: Plimsoll) -> None:
    before = bench.specs()
    bench.servers.failing["2"] = 0.9
    ended = plimsoll("promote", "triage@2", *PACE, "--json")
    assert ended.status == 1
    told = one_object(ended)
    assert (told["service"], told["old"], told["new"], told["weight"]) == ("triage", "1", "2", 0)
    assert "failed requests: 90 of 100" in told["reason"]
    assert "10 % of the requests go to triage@2" in ended.err
    assert bench.specs() == before


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_promote_that_is_interrupted_restores_and_ends_with_the_signal_s_status(
    bench: Bench, plimsoll: Plimsoll, monkeypatch: pytest.MonkeyPatch, number: int, status: int
) -> None:
    before = bench.specs()
    look = bench.servers.page

    def asked(pod: Any) -> str:
        os.kill(os.getpid(), number)
        return look(pod)

    monkeypatch.setattr(bench.servers, "page", asked)
    ended = plimsoll("promote", "triage@2", "--steps", "50,100", "--requests", "1000000000", "--limit", "30")
    assert ended.status == status
    assert "service triage: rolled back to version 1: interrupted" in ended.out
    assert bench.specs() == before
    assert weights_of(bench.cluster) == {"all": 1.0}


def test_promote_says_in_one_sentence_why_it_does_not_begin(bench: Bench, plimsoll: Plimsoll) -> None:
    before = bench.specs()
    assert "triage@9" in plimsoll("promote", "triage@9").error
    named = plimsoll("promote", "triage@2", "--service", "wards")
    assert (named.status, "no service of model triage is on memory by the name wards" in named.error) == (1, True)
    steps = plimsoll("promote", "triage@2", "--steps", "50")
    assert (steps.status, "'50' is not a list of steps" in steps.error) == (2, True)
    with bench.mover().exclusive():
        second = plimsoll("promote", "triage@2")
        assert (second.status, "another promotion into this service is running, by" in second.error) == (1, True)
    denied = bench.cluster.deny(resource="leases")
    refused = plimsoll("promote", "triage@2")
    assert (refused.status, 'cannot get resource "leases"' in refused.error) == (1, True)
    bench.cluster.allow(denied)
    assert bench.specs() == before


def test_down_removes_the_application_with_its_lease_and_nothing_of_others(bench: Bench, plimsoll: Plimsoll) -> None:
    mover = bench.mover()
    with pytest.raises(ZeroDivisionError), mover.exclusive():
        mover.add("1", "2")
        raise ZeroDivisionError("cut off, so that its lease is there")
    labels = {"plimsoll.dev/application": "other", "app.kubernetes.io/managed-by": "plimsoll"}
    theirs = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other", "namespace": "app", "labels": labels}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "by-hand", "namespace": "app"}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "app-triage", "namespace": "else"}, "spec": {}},
    ]
    kept = [bench.cluster.put(each) for each in theirs]
    ended = plimsoll("down")
    assert (ended.status, ended.err) == (0, "")
    assert "Lease/app-triage-promotion" in ended.out
    assert "Deployment/app-triage-v2" in ended.out
    assert set(bench.specs()) == {("ConfigMap", "other"), ("ConfigMap", "by-hand")}
    for each in kept:
        place = (each["apiVersion"], each["kind"], each["metadata"]["name"], each["metadata"]["namespace"])
        assert bench.cluster.find(*place) == each
    assert bench.cluster.find("v1", "Namespace", "app") is not None, "it was there before the application"
    again = plimsoll("down", "--json")
    assert one_object(again) == {"stopped": None, "removed": [], "kept": []}


def somebodys_run(cluster: MemoryCluster, content: str) -> dict[str, Any]:
    """The lease of a run on another machine, renewed a moment ago."""
    claim = {"who": "ada@desk", "process": 4711, "run": "r3", "directory": "desk:1:2", "number": 3, "content": content}
    metadata = {"name": "app-run", "namespace": "app", "labels": {"plimsoll.dev/application": "app"}}
    metadata["annotations"] = {"plimsoll.dev/claim": json.dumps(claim)}
    now = datetime.now(UTC).isoformat()
    spec = {"holderIdentity": "ada@desk/4711", "leaseDurationSeconds": 30, "acquireTime": now, "renewTime": now}
    return cluster.put({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec})


def test_run_of_other_content_is_refused_with_whose_run_goes_on(bench: Bench, plimsoll: Plimsoll) -> None:
    somebodys_run(bench.cluster, "c2")
    before = bench.specs()
    ended = plimsoll("run", "--base", "rootfs:/nowhere")
    assert ended.status == 1
    assert "run 3 of ada@desk carries out other content of 'app' since " in ended.error
    assert "in process 4711" in ended.error
    assert "wait for it, or have it end there with Ctrl-C" in ended.error
    after = bench.specs()
    assert {place: each for place, each in after.items() if place in before} == before


def test_status_tells_whose_run_goes_on_elsewhere(bench: Bench, plimsoll: Plimsoll) -> None:
    assert "under way" not in plimsoll("status").out
    lease = somebodys_run(bench.cluster, "c2")
    assert "run 3 of ada@desk is under way since " in plimsoll("status").out
    old = {**lease["spec"], "renewTime": "2026-01-01T00:00:00.000000Z"}
    bench.cluster.put({**lease, "spec": old})
    assert "under way" not in plimsoll("status").out


def test_down_is_refused_with_whose_run_goes_on_and_forced_on_demand(
    bench: Bench, plimsoll: Plimsoll, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "RENEWAL", 0.05)
    somebodys_run(bench.cluster, "c2")
    before = bench.specs()
    ended = plimsoll("down")
    assert ended.status == 1
    assert "run 3 of ada@desk is under way since " in ended.error
    assert "plimsoll down --force" in ended.error
    assert bench.specs() == before
    forced = plimsoll("down", "--force")
    assert forced.status == 0, forced.err
    assert "taking the application from run 3 of ada@desk, which is told so" in forced.err
    assert bench.specs() == {}


def test_predict_asks_the_service_through_the_api_server(bench: Bench, plimsoll: Plimsoll, tmp_path: Path) -> None:
    request = tmp_path / "request.json"
    tensor = {"name": "x", "datatype": "FP32", "shape": [1], "data": [1.0]}
    request.write_text(json.dumps({"inputs": [tensor]}))
    ended = plimsoll("predict", "triage", "--input", str(request))
    assert ended.status == 0, ended.err
    assert one_object(ended)["outputs"] == [tensor]


def test_predict_refuses_what_it_cannot_ask_in_one_sentence(
    cluster: MemoryCluster, plimsoll: Plimsoll, tmp_path: Path
) -> None:
    (tmp_path / "r.json").write_text("{}")
    absent = plimsoll("predict", "triage", "--input", "r.json")
    assert (absent.status, "the service triage is not on memory" in absent.error) == (1, True)
    unknown = plimsoll("predict", "triag", "--input", "r.json")
    assert (unknown.status, "did you mean 'triage'?" in unknown.error) == (2, True)
    missing = plimsoll("predict", "triage", "--input", "s.json")
    assert (missing.status, "no such file" in missing.error) == (2, True)
    assert not [each for each in cluster.seen() if each.changes]


def test_manifests_of_a_model_that_is_not_trained_are_refused_and_nothing_is_applied(
    cluster: MemoryCluster, plimsoll: Plimsoll
) -> None:
    ended = plimsoll("plan", "--output", "yaml")
    assert ended.status == 1
    assert "the model of the service triage is not trained yet" in ended.error
    assert not [each for each in cluster.seen() if each.changes]


def test_this_machine_renders_no_manifests_and_says_so(cluster: MemoryCluster, plimsoll: Plimsoll) -> None:
    ended = plimsoll("plan", "--output", "yaml", target="local")
    assert ended.status == 2
    assert "this machine cannot render Kubernetes manifests: it has no Kubernetes objects" in ended.error
    assert "name a target that can" in ended.error


def test_up_is_refused_on_a_cluster_whose_services_stay_up_after_a_run(bench: Bench, plimsoll: Plimsoll) -> None:
    refused = plimsoll("up")
    assert refused.status == 2
    assert "services stay up there after plimsoll run" in refused.error
