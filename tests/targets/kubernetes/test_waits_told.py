"""What commands say while they wait for a cluster: what for, which object, and what holds it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from plimsoll.application.loading import ApplicationFile
from plimsoll.errors import TargetError
from plimsoll.kinds.table import KINDS
from plimsoll.kubernetes.memory import Fault
from plimsoll.kubernetes.memory.controllers import ContainerWaiting
from plimsoll.targets.kubernetes import ends
from plimsoll.targets.kubernetes.calling import called
from plimsoll.waits import tell_waits
from tests.targets.kubernetes.bench import APPLICATION, Bench, Carried, Manifest
from tests.targets.kubernetes.serving import inference, registered, serve_step

pytestmark = pytest.mark.slow
HOLD = "example.com/hold"


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ends, "LOOK", 0.02)


def told_while(
    bench: Bench, act: Callable[[], object], until: Callable[[], object], release: Callable[[], None]
) -> str:
    """The first thing that is told while something is done that waits until it is released."""
    told: list[str] = []

    def telling() -> None:
        with tell_waits(told.append, first=0.02):
            act()

    thread = threading.Thread(target=telling)
    thread.start()
    assert bench.cluster.wait_for(lambda: [text for text in told if until() and HOLD in text], 20), told
    release()
    thread.join(30)
    assert not thread.is_alive()
    return next(text for text in told if HOLD in text)


def held_map(bench: Bench, name: str) -> Manifest:
    """A ConfigMap of the application's namespace that a finalizer holds."""
    found = bench.find("ConfigMap", name) or {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": APPLICATION},
    }
    found["metadata"]["finalizers"] = [HOLD]
    return bench.cluster.put(found)


def released(bench: Bench, name: str) -> None:
    found = bench.find("ConfigMap", name)
    assert found is not None
    bench.target().api.patch(found, {"metadata": {"finalizers": None}})


def test_a_removal_says_which_object_and_which_finalizer_it_waits_for(bench: Bench) -> None:
    bench.session()
    name = f"{APPLICATION}-trust"
    held_map(bench, name)
    told = told_while(bench, bench.target().remove, lambda: True, lambda: released(bench, name))
    assert f"ConfigMap/{name}" in told
    assert f"the finalizer {HOLD}, which its controller has to lift" in told


def test_a_run_says_what_a_namespace_that_is_ending_waits_for(bench: Bench) -> None:
    bench.session()
    held_map(bench, "theirs")
    found = bench.find("Namespace", APPLICATION, namespace="")
    assert found is not None
    bench.cluster.delete(found)
    (wait,) = bench.target().waits()
    assert wait == (
        f"the namespace {APPLICATION} is being deleted: configmaps/theirs waits for the finalizer {HOLD}, "
        "which its controller has to lift"
    )
    told = told_while(bench, bench.session, lambda: True, lambda: released(bench, "theirs"))
    assert told.startswith(f"waiting for the end of namespace {APPLICATION}: configmaps/theirs waits for the finalizer")


def test_an_api_server_that_is_slow_is_told(bench: Bench) -> None:
    target = bench.target()
    target.services()
    told: list[str] = []
    bench.cluster.fail(Fault(when=lambda request: "/deployments" in request.path, seconds=0.5))
    with tell_waits(told.append, first=0.1):
        target.services()
    # On a busy machine other requests may be slow enough to be told too.
    waited = f"waiting for the API server {bench.cluster.url} to answer GET /apis/apps/v1/namespaces/"
    assert any(text.startswith(waited) for text in told), told


def application(bench: Bench) -> ApplicationFile:
    """A file with the service that is called."""
    path = bench.directory / "plimsoll.yaml"
    path.write_text(
        "apiVersion: plimsoll.dev/v1alpha1\nkind: Application\nmetadata: {name: shop}\nspec:\n"
        "  models: {triage: {train: {run: python train.py}}}\n  services: {api: {model: triage}}\n"
    )
    (bench.directory / "train.py").touch()
    return KINDS.load(path)


def test_a_service_whose_servers_do_not_start_says_why_when_it_is_called_and_in_the_status(bench: Bench) -> None:
    session = bench.session()
    model = registered(bench, session)
    with inference(bench):
        assert Carried(session.start(serve_step(bench, model), 1)).end().outcome == "done"
        bench.serves = lambda _: ContainerWaiting(reason="ImagePullBackOff", message="connection refused")
        for pod in bench.cluster.list("v1", "Pod", APPLICATION, "plimsoll.dev/service=api"):
            bench.cluster.delete(pod)
        target = bench.target()
        assert bench.cluster.wait_for(lambda: [wait for wait in target.waits() if "pulled" in wait])
        (wait,) = target.waits()
        with (
            pytest.raises(TargetError, match="no pod of the service shop-api is ready: the pod shop-api-") as refused,
            called(target.api, APPLICATION, application(bench), "api"),
        ):
            pass
    assert wait.startswith("the service api is not whole: the pod shop-api-")
    for text in (wait, refused.value.message):
        assert "cannot be pulled: its registry does not answer; have it mended (connection refused)" in text
