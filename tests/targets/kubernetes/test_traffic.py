"""A promotion on a cluster in memory, over the real HTTP of its API: weights, servers, and what is left at the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from plimsoll.engine.promotion.promoting import Pace
from plimsoll.errors import PlimsollError, TargetError
from plimsoll.kinds.service_settings import Scale
from plimsoll.kubernetes.memory import Fault, MemoryCluster
from plimsoll.kubernetes.memory.requests import Request
from plimsoll.runtime.server.service_file import ModelFile, OwnCode, ServiceFile
from plimsoll.runtime.server.traffic import Share
from plimsoll.targets.features import TRAFFIC
from plimsoll.targets.kubernetes.manifests.models import MODEL
from plimsoll.targets.kubernetes.work.rollout import is_rolled_out
from plimsoll.targets.traffic import TrafficMover
from tests.servers import registry

from .promotion_bench import Bench, bench_on, quicken, routes, weights_of

pytestmark = pytest.mark.slow

THREE = Pace(steps=(10, 50, 100), requests=50, hold=0.0, limit=20.0)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry(tmp_path_factory.mktemp("registry")) as found:
        yield f"{found.host}/tests"


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryCluster]:
    with MemoryCluster(["gateway", "keda"], directory=tmp_path) as found:
        quicken(monkeypatch, found, tmp_path)
        yield found


@pytest.fixture
def bench(cluster: MemoryCluster, tmp_path: Path, place: str) -> Iterator[Bench]:
    """Without a gateway. No test may end with requests that were led to nobody."""
    with bench_on(cluster, tmp_path, place) as found:
        yield found
        assert found.watchman.outages == []


@pytest.fixture
def behind_gateway(bench: Bench) -> Bench:
    return bench.with_gateway()


def test_behind_a_gateway_the_route_and_the_record_follow_each_step_and_no_server_changes(
    behind_gateway: Bench,
) -> None:
    behind_gateway.serve()
    assert behind_gateway.promote(pace=THREE).promoted
    moments = behind_gateway.moments
    assert [each.weights for each in moments] == [{"1": 0.9, "2": 0.1}, {"1": 0.5, "2": 0.5}, {"1": 0.0, "2": 1.0}]
    shares = [each.record.file.traffic["triage"] for each in moments]
    assert [[share.weight for share in each] for each in shares] == [[90, 10], [50, 50], [0, 100]]
    first, *others = [each.servers for each in moments]
    assert set(first) == {"app-triage-v1", "app-triage-v2"}
    assert others == [first, first]


def test_a_promotion_that_is_settled_leaves_the_new_version_alone(behind_gateway: Bench) -> None:
    behind_gateway.serve()
    before = set(behind_gateway.specs())
    behind_gateway.promote()

    record = behind_gateway.record()
    assert [each.version for each in record.file.models] == ["2"]
    assert record.file.traffic == {}
    (reference,) = record.models.values()
    assert behind_gateway.models.find("triage@2").digest in reference
    assert weights_of(behind_gateway.cluster) == {"all": 1.0}
    told = {name for kind, name in before if kind == "ConfigMap" and not name.endswith("-served")}
    after = set(behind_gateway.specs())
    assert {each for each in before if each[1] not in told} <= after
    assert len(after) == len(before), "what servers are told has a new name; all else has the old ones"


def test_the_next_promotion_starts_from_what_the_last_one_has_left(behind_gateway: Bench) -> None:
    behind_gateway.serve()
    behind_gateway.register()
    assert behind_gateway.promote("triage@2").promoted
    result = behind_gateway.promote("triage@3")
    assert (result.promoted, result.old) == (True, "2")
    with pytest.raises(PlimsollError, match="service triage already sends its requests to triage@3"):
        behind_gateway.promote("triage@3")


@pytest.mark.parametrize("gateway", [True, False], ids=["gateway", "service"])
@pytest.mark.parametrize(("what", "reason"), [("failing", "failed requests"), ("slow", "latency")])
def test_a_version_that_is_worse_goes_back_and_everything_is_as_before(
    bench: Bench, gateway: bool, what: str, reason: str
) -> None:
    if gateway:
        bench.with_gateway()
    bench.serve()
    before = bench.specs()
    getattr(bench.servers, what)["2"] = 0.9
    result = bench.promote()

    assert (result.promoted, result.weight) == (False, 0)
    assert reason in result.reason
    assert len(bench.moments) == 1
    assert bench.specs() == before


def test_without_a_gateway_the_servers_share_the_requests_themselves(bench: Bench) -> None:
    bench.serve()
    assert bench.promote(pace=THREE).promoted
    assert [list(each.servers) for each in bench.moments] == [["app-triage"]] * 3
    generations = [each.servers["app-triage"] for each in bench.moments]
    assert generations == sorted(set(generations)), "each step replaces the servers"
    shares = [each.record.file.traffic["triage"] for each in bench.moments]
    assert [[share.weight for share in each] for each in shares] == [[90, 10], [50, 50], [0, 100]]
    assert [each.version for each in bench.record().file.models] == ["2"]


@pytest.mark.parametrize("gateway", [True, False], ids=["gateway", "service"])
def test_a_version_that_never_gets_ready_is_undone_and_its_reason_is_told(bench: Bench, gateway: bool) -> None:
    if gateway:
        bench.with_gateway()
    bench.serve()
    before = bench.specs()
    bench.servers.refused.add("2")
    with pytest.raises(TargetError, match="no trusted key has signed this model"):
        bench.promote()
    assert bench.moments == []
    assert bench.specs() == before


@pytest.mark.parametrize("gateway", [True, False], ids=["gateway", "service"])
def test_an_interrupt_while_the_new_version_is_loading_leads_no_request_to_nobody(bench: Bench, gateway: bool) -> None:
    if gateway:
        bench.with_gateway()
    bench.serve()
    before = bench.specs()
    bench.servers.pending.add("2")

    def loading() -> bool:
        return bool(bench.record().file.traffic)

    result = bench.promote(stopped=loading)
    assert (result.reason, result.weight) == ("interrupted", 0)
    assert bench.moments == [], "no request was to go to a version that is not loaded"
    assert bench.specs() == before


def test_an_interrupt_at_a_step_goes_back(behind_gateway: Bench) -> None:
    behind_gateway.serve()
    before = behind_gateway.specs()
    endless = Pace(steps=(10, 50, 100), requests=10**9, hold=0.0, limit=30.0)
    result = behind_gateway.promote(pace=endless, stopped=lambda: len(behind_gateway.moments) > 0)
    assert result.reason == "interrupted"
    assert behind_gateway.specs() == before


def test_requests_go_back_at_once_although_the_servers_of_before_need_long(behind_gateway: Bench) -> None:
    behind_gateway.serve()
    mover = behind_gateway.mover()
    seen = []
    with pytest.raises(TargetError), mover.exclusive():
        mover.add("1", "2")
        mover.weigh("1", "2", 50)
        # From now on version 1 starts no server: those that there are must take the requests.
        behind_gateway.servers.refused.add("1")
        try:
            mover.restore()
        finally:
            seen.append(weights_of(behind_gateway.cluster))
    assert seen == [{"1": 1.0, "2": 0.0}]


def test_what_could_not_be_restored_is_restored_by_the_next_promotion(behind_gateway: Bench) -> None:
    behind_gateway.serve()
    before = behind_gateway.specs()
    behind_gateway.servers.failing["2"] = 0.9

    def of_the_end(request: Request) -> bool:
        return bool(behind_gateway.moments) and request.verb == "patch" and "/deployments/" in request.path

    behind_gateway.cluster.fail(Fault(when=of_the_end, times=1, status=422, message="the quota is used up"))
    with pytest.raises(TargetError, match=r"(?s)failed requests.*could not be restored: the quota is used up"):
        behind_gateway.promote()
    assert behind_gateway.lease() is not None
    assert "was interrupted" in behind_gateway.target().service_notes("triage")[0]

    behind_gateway.servers.failing.clear()
    with pytest.raises(PlimsollError, match="already sends its requests to triage@1"):
        behind_gateway.promote("triage@1")
    assert (
        behind_gateway.said[-1] == "an earlier promotion into service triage was interrupted: the weights are restored"
    )
    assert behind_gateway.specs() == before


def test_a_new_version_that_cannot_be_settled_goes_back_too(behind_gateway: Bench) -> None:
    behind_gateway.serve()
    before = behind_gateway.specs()

    def settling(request: Request) -> bool:
        return len(behind_gateway.moments) == 2 and request.verb == "patch" and "/deployments/" in request.path

    behind_gateway.cluster.fail(Fault(when=settling, times=1, status=422, message="the quota is used up"))
    with pytest.raises(TargetError, match="the quota is used up"):
        behind_gateway.promote()
    assert behind_gateway.specs() == before


def test_versions_with_headers_and_shadows_keep_them_and_all_is_restored(behind_gateway: Bench) -> None:
    behind_gateway.register()
    behind_gateway.register()
    behind_gateway.serve(
        Share(version="1", weight=90),
        Share(version="2", weight=10, headers={"cohort": "beta"}),
        Share(version="3", shadow=25),
        versions=("1", "2", "3"),
    )
    before = behind_gateway.specs()
    behind_gateway.servers.failing["4"] = 0.9
    result = behind_gateway.promote("triage@4")

    assert (result.promoted, result.old) == (False, "1")
    (moment,) = behind_gateway.moments
    assert moment.weights == {"1": 0.9, "4": 0.1, "2": 0.0, "3": 0.0}
    kept = {share.version: share for share in moment.record.file.traffic["triage"]}
    assert kept["2"].headers == {"cohort": "beta"}
    assert kept["3"].shadow == 25
    assert behind_gateway.specs() == before


def test_a_version_that_has_only_a_weight_leaves_and_comes_back(behind_gateway: Bench) -> None:
    behind_gateway.register()
    shares = (Share(version="1", weight=60), Share(version="2", weight=40))
    behind_gateway.serve(*shares, versions=("1", "2"))
    before = behind_gateway.specs()
    behind_gateway.servers.failing["3"] = 0.9
    assert not behind_gateway.promote("triage@3").promoted
    assert set(behind_gateway.moments[0].servers) == {"app-triage-v1", "app-triage-v3"}
    assert behind_gateway.specs() == before
    assert weights_of(behind_gateway.cluster) == {"1": 0.6, "2": 0.4}


def test_a_version_with_a_small_share_already_gets_all(behind_gateway: Bench) -> None:
    behind_gateway.serve(Share(version="1", weight=95), Share(version="2", weight=5), versions=("1", "2"))
    assert behind_gateway.promote("triage@2").promoted
    assert [each.version for each in behind_gateway.record().file.models] == ["2"]
    assert len(routes(behind_gateway.cluster)) == 1


def test_a_service_that_scales_to_zero_is_promoted_and_its_activator_is_not_asked_for_counts(
    behind_gateway: Bench,
) -> None:
    behind_gateway.serve(scale=Scale(min=0, max=2))
    assert behind_gateway.promote().promoted
    assert "1" in behind_gateway.servers.asked
    assert "activator" not in behind_gateway.servers.asked


def test_a_server_that_starts_anew_loses_no_request_that_it_had_answered(behind_gateway: Bench) -> None:
    behind_gateway.serve()
    mover = behind_gateway.mover()
    with mover.exclusive():
        mover.add("1", "2")
        first = mover.counts(("1", "2"))["1"].codes["200"]
        for pod in behind_gateway.cluster.list("v1", "Pod", "app"):
            behind_gateway.servers.restart(pod["metadata"]["name"])
        # A look that finds as many as before could not be told from one at counters that went on.
        mover.weigh("1", "2", 90)
        second = mover.counts(("1", "2"))["1"].codes["200"]
        assert second > first
        mover.restore()


def test_a_server_that_is_gone_keeps_what_it_was_last_seen_with(bench: Bench) -> None:
    bench.serve()
    mover = bench.mover()
    with mover.exclusive():
        first = mover.counts(("1", "2"))["1"].codes["200"]
        (pod,) = bench.cluster.list("v1", "Pod", "app")
        bench.cluster.delete(pod, grace=0)
        assert bench.cluster.wait_for(lambda: bench.ready_pods() - {pod["metadata"]["name"]})
        assert mover.counts(("1", "2"))["1"].codes["200"] > first
    # The only server was taken away by hand.
    bench.watchman.outages.clear()


def test_a_server_that_is_not_ready_is_not_asked(bench: Bench) -> None:
    bench.serve()
    bench.servers.pending.add("1")
    (pod,) = bench.cluster.list("v1", "Pod", "app")
    bench.cluster.put({**pod, "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]}})
    mover = bench.mover()
    with mover.exclusive():
        assert mover.counts(("1", "2"))["1"].codes == {}
    assert bench.servers.asked == set()
    bench.watchman.outages.clear()


def test_a_change_of_weights_behind_a_gateway_writes_the_record_and_routes_alone(behind_gateway: Bench) -> None:
    # Its name ends as those of records do, which no other object of it is to be taken for.
    behind_gateway.serve(service="triage-served")
    mover = behind_gateway.mover()
    with mover.exclusive():
        mover.add("1", "2")
        asked = len(behind_gateway.cluster.seen())
        mover.weigh("1", "2", 50)
        changes = [each.path for each in behind_gateway.cluster.seen()[asked:] if each.method != "GET"]
        assert {each.rsplit("/", 2)[1] for each in changes} <= {"httproutes", "configmaps", "leases"}
        mover.restore()
    behind_gateway.watchman.outages.clear()


def test_a_model_that_no_service_has_is_refused(behind_gateway: Bench) -> None:
    with pytest.raises(PlimsollError, match="no service of model triage is on memory") as caught:
        behind_gateway.promote()
    assert "plimsoll run --target memory" in str(caught.value)


def test_of_several_services_with_the_model_one_has_to_be_named(behind_gateway: Bench) -> None:
    behind_gateway.serve()
    behind_gateway.serve(service="wards")
    with pytest.raises(PlimsollError, match="several services have model triage") as caught:
        behind_gateway.promote()
    assert "triage, wards" in str(caught.value)
    with pytest.raises(PlimsollError, match="by the name nurses"):
        _named(behind_gateway, "nurses")
    assert _named(behind_gateway, "wards").service == "wards"


def test_a_promotion_starts_from_what_the_service_is_once_the_lease_is_its_own(behind_gateway: Bench) -> None:
    behind_gateway.serve()
    early = behind_gateway.mover()
    assert behind_gateway.promote("triage@2").promoted
    with early.exclusive() as undone:
        assert not undone
        assert early.leading() == "2"


def test_a_service_that_was_taken_down_meanwhile_is_refused_and_leaves_no_lease(behind_gateway: Bench) -> None:
    behind_gateway.serve()
    early = behind_gateway.mover()
    behind_gateway.target().remove()
    behind_gateway.watchman.outages.clear()
    with pytest.raises(TargetError, match="does not serve model triage any more"), early.exclusive():
        pass
    assert behind_gateway.lease() is None


def test_servers_of_before_do_not_count_as_new_ones() -> None:
    """A Deployment of one server, of which the old one is available and the new one is not."""
    metadata = {"name": "servers", "generation": 2}
    status = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 1, "availableReplicas": 1}
    surging = {"metadata": metadata, "spec": {"replicas": 1}, "status": status}
    assert not is_rolled_out(surging)
    assert is_rolled_out({**surging, "status": {**status, "replicas": 1}})
    assert not is_rolled_out({**surging, "status": {**status, "replicas": 1, "observedGeneration": 1}})
    assert is_rolled_out({"metadata": metadata, "spec": {"replicas": 0}, "status": {"observedGeneration": 2}})


def _named(bench: Bench, service: str) -> TrafficMover:
    return bench.target().features.require(TRAFFIC)("triage", service, bench.say, lambda: False)


def test_the_next_version_of_code_of_ones_own_is_given_to_the_same_code(bench: Bench) -> None:
    code = OwnCode(argv=("python", "serve.py"), script="serve.py")
    first = ModelFile(name="triage", version="1", path=f"{MODEL}s/1", digest="sha256:1", code=code)
    bench.serve(file=ServiceFile(models=(first,), traffic={"triage": (Share(version="1", weight=100),)}))
    assert bench.promote().promoted
    record = bench.record()
    (now,) = record.file.models
    assert (now.version, now.path, now.code) == ("2", f"{MODEL}s/2", code)
    assert list(record.models) == [now.path]
