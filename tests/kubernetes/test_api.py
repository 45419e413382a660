"""What is asked of an API server again, for how long, page by page, and how its refusals are told."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
import pytest

from plimsoll.kubernetes.access import Act
from plimsoll.kubernetes.api import Api, ApiError, Page, RightsAdvice
from plimsoll.kubernetes.memory import Fault, MemoryCluster, Request
from tests.kubernetes.asking import config_map, pod

CALL = 'failed calling webhook "mpod.kb.io": failed to call webhook: Post "https://kueue-webhook-service.kueue-system'
STARTS = f'Internal error occurred: {CALL}.svc:443/mutate": dial tcp 10.244.4.4:9443: connect: connection refused'
BROKEN = f'Internal error occurred: {CALL}.svc:443/mutate": x509: certificate signed by unknown authority'
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "one"}}
MAPS = "/api/v1/namespaces/here/configmaps"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch, cluster: MemoryCluster) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    cluster.put(config_map("first", {"k": "v"}, namespace="here"))


def by(method: str, path: str = "") -> Callable[[Request], bool]:
    """Requests of a method, and of a path when one is given."""
    return lambda request: request.method == method and path in ("", request.path)


def asked(cluster: MemoryCluster, method: str, path: str = "") -> int:
    """How often something was asked."""
    return sum(each.method == method and path in ("", each.path) for each in cluster.seen())


def refuse(cluster: MemoryCluster, method: str, times: int, message: str, status: int = 500) -> None:
    cluster.fail(Fault(when=by(method), times=times, status=status, message=message))


def test_a_webhook_whose_controller_starts_anew_is_waited_for(cluster: MemoryCluster, api: Api) -> None:
    refuse(cluster, "PATCH", 5, STARTS)
    assert api.apply(NAMESPACE)["metadata"]["name"] == "one"


def test_a_webhook_that_does_not_come_back_ends_in_its_own_words(cluster: MemoryCluster, api: Api) -> None:
    refuse(cluster, "PATCH", 100, STARTS)
    with pytest.raises(ApiError, match="connection refused"):
        api.apply(NAMESPACE)
    assert asked(cluster, "PATCH") == 6


def test_a_webhook_that_is_broken_is_asked_no_longer_than_a_server_that_is_busy(
    cluster: MemoryCluster, api: Api
) -> None:
    refuse(cluster, "PATCH", 100, BROKEN)
    with pytest.raises(ApiError, match="unknown authority"):
        api.apply(NAMESPACE)
    assert asked(cluster, "PATCH") == 4


def test_what_would_make_a_second_object_is_asked_once(cluster: MemoryCluster, api: Api) -> None:
    refuse(cluster, "POST", 1, STARTS)
    with pytest.raises(ApiError, match="connection refused"):
        api.create(NAMESPACE)
    assert asked(cluster, "POST") == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_that_is_out_of_breath_is_asked_again(cluster: MemoryCluster, api: Api, status: int) -> None:
    api.kind("v1", "ConfigMap")
    refuse(cluster, "GET", 5, "busy", status)
    assert api.get("v1", "ConfigMap", "first", "here")["data"] == {"k": "v"}
    assert asked(cluster, "GET", f"{MAPS}/first") == 6


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422])
def test_a_refusal_is_not_asked_again(cluster: MemoryCluster, api: Api, status: int) -> None:
    api.kind("v1", "ConfigMap")
    refuse(cluster, "GET", 1, "no", status)
    with pytest.raises(ApiError, match="no") as refused:
        api.get("v1", "ConfigMap", "first", "here")
    assert refused.value.status == status
    assert asked(cluster, "GET", f"{MAPS}/first") == 1


def test_a_server_that_was_never_reached_is_given_up_sooner(cluster: MemoryCluster, api: Api) -> None:
    cluster.fail(Fault(times=100, reset=True))
    with pytest.raises(ApiError, match="does not answer") as never:
        api.request("GET", "/version")
    assert (never.value.status, asked(cluster, "GET", "/version")) == (0, 4)
    cluster.mend()
    api.request("GET", "/version")
    cluster.fail(Fault(times=100, reset=True))
    with pytest.raises(ApiError, match="does not answer"):
        api.request("GET", "/api")
    assert asked(cluster, "GET", "/api") == 6


def test_a_connection_that_breaks_off_is_made_anew(cluster: MemoryCluster, api: Api) -> None:
    api.kind("v1", "ConfigMap")
    cluster.fail(Fault(times=2, reset=True))
    assert api.get("v1", "ConfigMap", "first", "here")
    cluster.fail(Fault(when=by("DELETE"), reset=True))
    api.delete("v1", "ConfigMap", "first", "here")
    assert api.find("v1", "ConfigMap", "first", "here") is None


def test_an_answer_that_does_not_come_is_asked_for_again(
    cluster: MemoryCluster, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plimsoll.kubernetes.api._TIMEOUT", 0.3)
    hurried = Api(cluster.context)
    cluster.fail(Fault(seconds=30))
    assert hurried.request("GET", "/version")["gitVersion"]
    assert asked(cluster, "GET", "/version") == 1
    hurried.close()


def test_a_server_that_is_gone_does_not_answer(cluster: MemoryCluster, api: Api) -> None:
    api.request("GET", "/version")
    cluster.close()
    with pytest.raises(ApiError, match="does not answer") as refused:
        api.request("GET", "/version")
    assert (refused.value.status, refused.value.where) == (0, "GET /version")


def test_a_long_list_comes_page_by_page(cluster: MemoryCluster, api: Api) -> None:
    for number in range(1100):
        cluster.put(config_map(f"n{number:04}", namespace="many"))
    names = [each["metadata"]["name"] for each in api.list("v1", "ConfigMap", "many")]
    assert names == ["kube-root-ca.crt", *(f"n{number:04}" for number in range(1100))]
    assert asked(cluster, "GET", "/api/v1/namespaces/many/configmaps") == 3


class Bare(msgspec.Struct):
    data: dict[str, str] = {}


def test_a_page_is_read_into_what_is_wanted_of_it(api: Api) -> None:
    pages = [list(page) for page in api.pages("v1", "ConfigMap", Page[Bare], "here")]
    assert pages == [[Bare(data={"k": "v"}), Bare(data={"ca.crt": ""})]]


def test_a_list_whose_moment_is_forgotten_says_so(cluster: MemoryCluster, api: Api) -> None:
    for number in range(600):
        cluster.put(config_map(f"n{number:04}", namespace="many"))
    pages = api.pages("v1", "ConfigMap", Page[Bare], "many")
    next(pages)
    cluster.compact()
    with pytest.raises(ApiError, match="too old") as refused:
        next(pages)
    assert (refused.value.status, refused.value.reason) == (410, "Expired")


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (401, "the credentials have run out; log in again"),
        (403, ""),
        (404, ""),
    ],
)
def test_a_refusal_says_where_and_what_to_do(cluster: MemoryCluster, api: Api, status: int, hint: str) -> None:
    api.kind("v1", "ConfigMap")
    refuse(cluster, "GET", 1, "the server's own words", status)
    with pytest.raises(ApiError) as refused:
        api.get("v1", "ConfigMap", "first", "here")
    assert refused.value.message == "the server's own words"
    assert (refused.value.where, refused.value.hint) == (f"GET {MAPS}/first", hint)


def test_a_missing_right_is_told_with_its_use_and_the_command_that_prints_rights(
    cluster: MemoryCluster, api: Api
) -> None:
    cluster.deny(verb="get", resource="configmaps")
    api.advice = RightsAdvice(why=lambda act: f"{act.resource} are read", command="tool --print-rbac")
    with pytest.raises(ApiError) as refused:
        api.get("v1", "ConfigMap", "first", "here")
    words = 'User "admin" cannot get resource "configmaps" in API group "" in the namespace "here"'
    assert words in refused.value.message
    assert refused.value.message.endswith(": configmaps are read")
    assert refused.value.hint == "'tool --print-rbac' prints the rights that are needed"
    assert refused.value.lacks == Act(verb="get", resource="configmaps", namespace="here")
    assert refused.value.lasting


def test_an_answer_that_is_no_status_is_told_as_it_is(cluster: MemoryCluster, api: Api) -> None:
    cluster.fail(Fault(status=413, text="<html>too large</html>" + "x" * 400))
    with pytest.raises(ApiError, match="too large") as refused:
        api.request("GET", "/version")
    assert (refused.value.status, len(refused.value.message), refused.value.reason) == (413, 300, "")


def test_an_answer_without_words_says_that(cluster: MemoryCluster, api: Api) -> None:
    cluster.fail(Fault(status=418, text=" "))
    with pytest.raises(ApiError) as refused:
        api.request("GET", "/version")
    assert refused.value.status == 418


def test_discovery_is_asked_once_for_a_version(cluster: MemoryCluster, api: Api) -> None:
    for _ in range(3):
        api.list("v1", "ConfigMap", "here")
        api.get("v1", "ServiceAccount", "default", "here")
    assert asked(cluster, "GET", "/api/v1") == 1


def test_a_kind_that_comes_later_is_found(cluster: MemoryCluster, api: Api) -> None:
    assert api.serves("jobset.x-k8s.io/v1alpha2", "JobSet")
    assert not api.serves("jobset.x-k8s.io/v1alpha2", "Later")
    cluster.serve("jobset.x-k8s.io/v1alpha2", "Later", "laters")
    assert api.serves("jobset.x-k8s.io/v1alpha2", "Later")


def test_whether_a_kind_is_served_is_not_guessed_when_the_server_is_away(cluster: MemoryCluster, api: Api) -> None:
    refuse(cluster, "GET", 100, "away", 503)
    with pytest.raises(ApiError, match="away"):
        api.serves("v1", "Pod")


def test_what_may_not_be_read_is_not_taken_for_gone(cluster: MemoryCluster, api: Api) -> None:
    cluster.deny(verb="get", resource="configmaps")
    with pytest.raises(ApiError, match="cannot get resource"):
        api.find("v1", "ConfigMap", "none", "here")
    cluster.deny(verb="delete", resource="configmaps")
    with pytest.raises(ApiError, match="cannot delete resource"):
        api.delete("v1", "ConfigMap", "first", "here")


def test_a_pod_is_given_the_time_that_is_asked_for(cluster: MemoryCluster, api: Api) -> None:
    cluster.put({**pod("one", node="node-1", namespace="here"), "status": {"phase": "Running"}})
    api.delete("v1", "Pod", "one", "here", grace=7)
    assert api.get("v1", "Pod", "one", "here")["metadata"]["deletionGracePeriodSeconds"] == 7
    api.delete("v1", "Pod", "one", "here", grace=0)
    assert api.find("v1", "Pod", "one", "here") is None


def test_a_log_that_is_refused_is_told_before_it_is_followed(cluster: MemoryCluster, api: Api) -> None:
    with pytest.raises(ApiError, match='pods "none" not found'), api.follow_logs("none", "here", "main"):
        pass


def test_closing_ends_a_log_that_is_followed(cluster: MemoryCluster, api: Api) -> None:
    import threading

    cluster.put({**pod("one", node="node-1", namespace="here"), "status": {"phase": "Running"}})
    cluster.log("here", "one").write("first")
    began, ended = threading.Event(), threading.Event()

    def follow() -> None:
        try:
            with api.follow_logs("one", "here", "main") as pieces:
                for _ in pieces:
                    began.set()
        except Exception:  # noqa: BLE001  # of an HTTP library whose connection is shut
            pass
        ended.set()

    threading.Thread(target=follow, daemon=True).start()
    assert began.wait(10)
    api.close()
    assert ended.wait(10)


def test_an_answer_that_is_not_the_expected_json_says_where(api: Api) -> None:
    with pytest.raises(ApiError, match=r"the answer is not the expected JSON") as caught:
        api.request("GET", "/version", shape=list[int])
    assert caught.value.where == "GET /version"
