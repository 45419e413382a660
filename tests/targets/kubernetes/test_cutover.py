"""Routes that are changed while requests come: what is new is known before it is led to, what leaves after."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec import Struct

from plimsoll.kubernetes.cluster import GATEWAY
from plimsoll.kubernetes.memory import Admission
from plimsoll.kubernetes.memory.controllers import Gateways
from plimsoll.planning.steps import AnyStep
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.manifests.traffic import NO_REQUEST
from plimsoll.targets.kubernetes.session import KubernetesSession
from plimsoll.targets.kubernetes.work import rollout
from tests.targets.kubernetes.bench import APPLICATION, Bench, Manifest, done
from tests.targets.kubernetes.conftest import NewBench
from tests.targets.kubernetes.serving import inference, registered, serve_step, shares

pytestmark = pytest.mark.slow

API = names.service(APPLICATION, "api")


class Change(Struct, frozen=True):
    """A change of an object: `led` says that some request is led by it."""

    verb: str
    kind: str
    name: str
    led: bool = False


class Changes:
    """The changes of what leads requests and of servers, in their order."""

    def __init__(self, bench: Bench) -> None:
        self.seen: list[Change] = []
        bench.cluster.validate(self._take)

    def of(self, kind: str, name: str = "") -> list[Change]:
        """Changes of the objects of a kind, or of one of them."""
        return [each for each in self.seen if each.kind == kind and name in ("", each.name)]

    def _take(self, asked: Admission) -> str | None:
        found = asked.object or asked.before
        if (
            found is not None
            and not asked.subresource
            and asked.kind.kind in ("HTTPRoute", "Service", "Deployment", "ConfigMap")
        ):
            led = asked.kind.kind == "HTTPRoute" and NO_REQUEST not in str(found["spec"])
            self.seen.append(Change(asked.verb, asked.kind.kind, found["metadata"]["name"], led))
        return None


@pytest.fixture
def bench(new_bench: NewBench) -> Iterator[Bench]:
    made = new_bench("gateway")
    spec = {"controllerName": "plimsoll.dev/memory"}
    accepted = {"conditions": [{"type": "Accepted", "status": "True"}]}
    kind = {"apiVersion": GATEWAY, "kind": "GatewayClass", "metadata": {"name": "memory"}}
    made.cluster.put({**kind, "spec": spec, "status": accepted})
    with inference(made):
        yield made


@pytest.fixture
def programmed(bench: Bench) -> None:
    """Gateways take requests as soon as they are there."""
    bench.cluster.run(Gateways())


def route(bench: Bench, name: str = API) -> Manifest:
    found = bench.find("HTTPRoute", name, GATEWAY)
    assert found is not None
    return found


def weights(bench: Bench) -> dict[str, int]:
    (rule,) = route(bench)["spec"]["rules"]
    return {each["name"]: each["weight"] for each in rule["backendRefs"]}


def two_versions(bench: Bench, session: KubernetesSession) -> AnyStep:
    registered(bench, session, "first")
    return registered(bench, session, "second")


def test_a_service_is_reached_at_the_gateway(bench: Bench, programmed: None) -> None:
    session = bench.session()
    done(session, serve_step(bench, registered(bench, session)))
    assert dict(bench.target().services()) == {"api": "http://127.0.0.1/api"}
    assert [each["name"] for each in route(bench)["spec"]["parentRefs"]] == [f"{APPLICATION}-plimsoll"]


def test_a_gateway_that_takes_no_requests_is_told_of_and_the_service_is_up_inside(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout, "GATEWAY_LIMIT", 0.2)
    session = bench.session()
    carried = done(session, serve_step(bench, registered(bench, session)))
    assert carried.reasons()[-1] == "the gateway takes no requests after 0.2 s"
    assert dict(bench.target().services()) == {"api": f"http://{API}.{APPLICATION}.svc"}


def test_a_route_comes_after_the_servers_that_it_leads_to(bench: Bench, programmed: None) -> None:
    session = bench.session()
    model = registered(bench, session)
    ready: list[bool] = []

    def watch(asked: Admission) -> str | None:
        if asked.kind.kind in ("HTTPRoute", "Service") and asked.verb == "create":
            found = bench.find("Deployment", API, "apps/v1")
            ready.append(found is not None and rollout.is_rolled_out(found))
        return None

    bench.cluster.validate(watch)
    done(session, serve_step(bench, model))
    assert ready == [True, True]


def test_each_version_has_servers_and_a_route_of_its_own_and_the_service_has_the_weights(
    bench: Bench, programmed: None
) -> None:
    session = bench.session()
    done(session, serve_step(bench, two_versions(bench, session), shares=shares(v1=90, v2=10)))

    assert bench.objects("Deployment", "apps/v1") == [f"{API}-v1", f"{API}-v2"]
    assert bench.objects("HTTPRoute", GATEWAY) == [API, f"{API}-v1", f"{API}-v2"]
    assert weights(bench) == {f"{API}-v1": 90, f"{API}-v2": 10}


def test_a_change_of_weights_is_one_of_the_route_alone(bench: Bench, programmed: None) -> None:
    session = bench.session()
    model = two_versions(bench, session)
    done(session, serve_step(bench, model, shares=shares(v1=90, v2=10)))
    before = {pod["metadata"]["uid"] for pod in bench.cluster.list("v1", "Pod", APPLICATION)}
    done(session, serve_step(bench, model, shares=shares(v1=50, v2=50)))

    assert weights(bench) == {f"{API}-v1": 50, f"{API}-v2": 50}
    assert {pod["metadata"]["uid"] for pod in bench.cluster.list("v1", "Pod", APPLICATION)} == before


def test_new_routes_are_shown_to_the_gateway_before_requests_are_led_by_them(bench: Bench, programmed: None) -> None:
    session = bench.session()
    done(session, serve_step(bench, registered(bench, session, "first")))
    model = registered(bench, session, "second")
    changes = Changes(bench)
    done(session, serve_step(bench, model, shares=shares(v1=90, v2=10)))

    for name in (f"{API}-v1", f"{API}-v2"):
        assert [each.led for each in changes.of("HTTPRoute", name)] == [False, True]
    shown = changes.seen.index(Change("create", "HTTPRoute", f"{API}-v2", led=False))
    assert all(each.kind != "HTTPRoute" or not each.led for each in changes.seen[:shown])
    services = [changes.seen.index(Change("create", "Service", f"{API}-{version}")) for version in ("v1", "v2")]
    assert max(services) < shown


def test_routes_lead_nobody_before_they_and_their_servers_are_deleted(bench: Bench, programmed: None) -> None:
    session = bench.session()
    model = two_versions(bench, session)
    done(session, serve_step(bench, model, shares=shares(v1=90, v2=10)))
    changes = Changes(bench)
    done(session, serve_step(bench, model))

    assert bench.objects("HTTPRoute", GATEWAY) == [API]
    assert bench.objects("Deployment", "apps/v1") == [API]
    for name in (f"{API}-v1", f"{API}-v2"):
        # A deletion whose answer is late is asked for again.
        told = dict.fromkeys((each.verb, each.led) for each in changes.of("HTTPRoute", name))
        assert list(told) == [("update", False), ("delete", False)]
    deleted = [each for each in changes.seen if each.verb == "delete"]
    last_led = max(number for number, each in enumerate(changes.seen) if each.led)
    assert all(changes.seen.index(each) > last_led for each in deleted)


def test_what_somebody_else_has_put_beside_a_service_stays(bench: Bench, programmed: None) -> None:
    session = bench.session()
    done(session, serve_step(bench, registered(bench, session, "first")))
    metadata = {"name": "by-hand", "namespace": APPLICATION}
    bench.cluster.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {}})
    other = serve_step(bench, registered(bench, session, "second"), "other")
    done(session, other)
    done(session, serve_step(bench, registered(bench, session, "third")))

    assert "by-hand" in bench.objects("ConfigMap")
    assert session.result(other) is not None
    assert bench.objects("HTTPRoute", GATEWAY) == [API, names.service(APPLICATION, "other")]
