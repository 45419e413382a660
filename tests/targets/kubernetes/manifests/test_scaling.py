"""How a service's servers become more, fewer and none."""

from __future__ import annotations

from typing import Any

import pytest

from plimsoll.kinds.service_settings import Scale
from plimsoll.kubernetes.cluster import Cluster
from plimsoll.planning.steps import WorkerResources
from plimsoll.runtime.server.service_file import ModelFile, ServiceFile
from plimsoll.runtime.server.traffic import Share as TrafficShare
from plimsoll.targets.kubernetes.manifests.groups import ServedVersions
from plimsoll.targets.kubernetes.manifests.serving import objects
from plimsoll.targets.kubernetes.providers import choose, never_zero

SERVED = frozenset({"keda.sh/v1alpha1/ScaledObject", "gateway.envoyproxy.io/v1alpha1/BackendTrafficPolicy"})
CHOSEN = {"serving": "deployment", "traffic": "gateway", "metrics": "operator", "scale": "hpa"}
Made = dict[str, dict[str, dict[str, Any]]]


def made(wanted: Scale, *versions: str, latency: float | None = None, **chosen: str) -> Made:
    """All objects of a service by kind and name."""
    models = tuple(ModelFile(name="m", version=each, path=f"/models/{each}/m.onnx", digest="d") for each in versions)
    shares = tuple(TrafficShare(version=each, weight=100 // len(versions)) for each in versions)
    served = ServedVersions(
        application="app",
        service="triage",
        file=ServiceFile(models=models, traffic={"m": shares} if len(versions) > 1 else {}),
        models={f"/models/{each}": f"r/m@sha256:{each}" for each in versions},
        key="k",
        resources=WorkerResources(cpu=0.5),
        image="r/runtime@sha256:0",
        scale=wanted,
        latency=latency,
    )
    found: Made = {}
    where = Cluster(target="lab", namespace="here", gateways=("lab",), served=SERVED)
    for each in objects(served, where, {**CHOSEN, **chosen}):
        found.setdefault(each["kind"], {})[each["metadata"]["name"]] = each
    return found


def pods(deployment: dict[str, Any]) -> dict[str, str]:
    return dict(deployment["spec"]["template"]["metadata"]["labels"])


def test_where_there_may_be_no_server_an_activator_stands_before_them_and_keda_asks_it() -> None:
    found = made(Scale(min=0, max=3, concurrency=8), "1")
    (scaled,) = found["ScaledObject"].values()
    assert scaled["spec"]["advanced"]["scalingModifiers"] == {}, "KEDA adds it where it is left out"
    assert "HorizontalPodAutoscaler" not in found
    assert (scaled["spec"]["minReplicaCount"], scaled["spec"]["maxReplicaCount"]) == (0, 3)
    (trigger,) = scaled["spec"]["triggers"]
    assert trigger["metadata"]["url"] == "http://app-triage-activator.here.svc/plimsoll/load"
    assert trigger["metadata"]["targetValue"] == "8"
    assert scaled["spec"]["scaleTargetRef"]["name"] == "app-triage"
    assert "replicas" not in found["Deployment"]["app-triage"]["spec"]
    services = {name: each["spec"]["selector"] for name, each in found["Service"].items()}
    servers, activator = (pods(found["Deployment"][name]) for name in ("app-triage", "app-triage-activator"))
    assert services["app-triage"].items() <= activator.items()
    assert services["app-triage-activator"].items() <= activator.items()
    assert services["app-triage-servers"].items() <= servers.items()
    assert not services["app-triage"].items() <= servers.items()
    assert not services["app-triage-servers"].items() <= activator.items()
    command = found["Deployment"]["app-triage-activator"]["spec"]["template"]["spec"]["containers"][0]["command"]
    assert "app-triage-servers:80" in command


def test_versions_apart_have_an_activator_each() -> None:
    found = made(Scale(min=0, max=2), "1", "2")
    selectors = {name: each["spec"]["selector"] for name, each in found["Service"].items()}
    for version in ("1", "2"):
        front, back = f"app-triage-v{version}", f"app-triage-v{version}-servers"
        matching = {
            name: [service for service in (front, back) if selectors[service].items() <= pods(each).items()]
            for name, each in found["Deployment"].items()
        }
        assert matching == {
            **{name: [] for name in found["Deployment"]},
            front: [back],
            f"{front}-activator": [front],
        }
    assert set(found["ScaledObject"]) == {"app-triage-v1", "app-triage-v2"}


def test_who_waits_for_a_server_is_not_cut_off_by_the_gateway() -> None:
    found = made(Scale(min=0, max=1), "1", latency=0.1)
    (route,) = found["HTTPRoute"].values()
    assert route["spec"]["rules"][0]["timeouts"] == {"request": "160s"}
    (policy,) = found["BackendTrafficPolicy"].values()
    assert "perRetry" not in policy["spec"]["retry"]
    usual = made(Scale(), "1", latency=0.1)
    (route,) = usual["HTTPRoute"].values()
    assert "timeouts" not in route["spec"]["rules"][0]
    (policy,) = usual["BackendTrafficPolicy"].values()
    assert policy["spec"]["retry"]["perRetry"]


def test_what_never_goes_to_zero_has_keda_only_when_it_is_preferred() -> None:
    scale = Scale(min=1, max=3)
    assert "ScaledObject" not in made(scale, "1")
    assert made(scale, "1", scale="keda")["ScaledObject"]["app-triage"]["spec"]["minReplicaCount"] == 1
    assert "ScaledObject" not in made(Scale(), "1", scale="keda")


@pytest.mark.parametrize(
    ("served", "serving", "words"),
    [(frozenset(), "deployment", "KEDA is not installed"), (SERVED, "kserve", "KServe"), (SERVED, "deployment", "")],
)
def test_a_cluster_says_why_it_cannot_go_to_zero(served: frozenset[str], serving: str, words: str) -> None:
    reason = never_zero(Cluster(target="lab", namespace="here", served=served), serving)
    assert words in reason
    assert bool(reason) is bool(words)


def test_the_plan_says_that_keda_can_go_to_zero_where_it_is() -> None:
    with_keda, without = (Cluster(target="lab", namespace="here", served=each) for each in (SERVED, frozenset()))
    assert "to zero by KEDA" in choose(with_keda, "scale").why
    assert "KEDA" not in choose(without, "scale").why
    assert choose(with_keda, "scale", ["keda"]).provider == "keda"
