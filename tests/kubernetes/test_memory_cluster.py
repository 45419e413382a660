"""What a test can ask of the cluster in memory: faults, hooks, rights, scripts, and streams that lead to itself."""

from __future__ import annotations

import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from plimsoll.capabilities.access import NAME, cluster_role, missing_rights
from plimsoll.kubernetes.api import Api, ApiError
from plimsoll.kubernetes.memory import Admission, ContainerCommand, Fault, MemoryCluster, Ran
from tests.kubernetes.asking import MERGE, Manifest, ask, config_map, pod, watch

MAPS = "/api/v1/namespaces/here/configmaps"
PODS = "/api/v1/namespaces/here/pods"


@pytest.fixture(autouse=True)
def namespace(cluster: MemoryCluster) -> None:
    cluster.put(config_map("first", {"k": "v"}, namespace="here"))


def running(cluster: MemoryCluster, name: str = "one", *containers: str) -> Manifest:
    """A pod on a node, as a kubelet would have it."""
    made = pod(name, node="node-1", namespace="here")
    if containers:
        made["spec"]["containers"] = [{"name": each, "image": "x"} for each in containers]
    ready = {"type": "Ready", "status": "True"}
    return cluster.put({**made, "status": {"phase": "Running", "conditions": [ready]}})


def test_the_context_of_the_kubeconfig_leads_to_the_cluster(cluster: MemoryCluster, api: Api) -> None:
    assert api.server == cluster.url
    assert api.get("v1", "ConfigMap", "first", "here")["data"] == {"k": "v"}


def test_who_is_unknown_is_refused(cluster: MemoryCluster) -> None:
    def asked(path: str, **headers: str) -> tuple[int, Any]:
        request = urllib.request.Request(cluster.url + path, headers=headers)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=10)
        with refused.value as answer:
            return answer.code, json.loads(answer.read())["reason"]

    assert asked("/api/v1/nodes", Authorization="Bearer none") == (401, "Unauthorized")
    assert asked("/api/v1/nodes") == (403, "Forbidden")
    with urllib.request.urlopen(f"{cluster.url}/version", timeout=10) as answer:
        assert answer.status == 200


def test_an_old_version_is_told_so_in_the_stream(cluster: MemoryCluster, api: Api) -> None:
    old = ask(api, "GET", MAPS).body["metadata"]["resourceVersion"]
    cluster.put(config_map("second", namespace="here"))
    cluster.compact()
    with watch(api, MAPS, resourceVersion=old) as events:
        found = events.next()
        assert (found["type"], found["object"]["code"], found["object"]["reason"]) == ("ERROR", 410, "Expired")
        assert events.ends()


def test_a_list_whose_moment_is_forgotten_has_to_begin_anew(cluster: MemoryCluster, api: Api) -> None:
    cluster.put(config_map("second", namespace="here"))
    page = ask(api, "GET", MAPS, limit="1").body["metadata"]["continue"]
    cluster.compact()
    refused = ask(api, "GET", MAPS, limit="1", **{"continue": page})
    assert (refused.code, refused.reason) == (410, "Expired")


def test_a_watch_can_be_broken_off(cluster: MemoryCluster, api: Api) -> None:
    with watch(api, MAPS) as events:
        assert events.told()[0] == "ADDED"
        assert events.told()[0] == "ADDED"
        assert cluster.watches == 1
        cluster.drop_watches()
        with pytest.raises(Exception, match=r"(?i)peer|reset|incomplete"):
            events.next()
    assert cluster.wait_for(lambda: cluster.watches == 0)


def test_a_fault_meets_the_requests_that_it_is_for(cluster: MemoryCluster, api: Api) -> None:
    cluster.fail(Fault(when=lambda request: request.verb == "list", times=2, status=503, message="busy"))
    assert ask(api, "GET", f"{MAPS}/first").code == 200
    assert [ask(api, "GET", MAPS).code for _ in range(3)] == [503, 503, 200]
    cluster.fail(Fault(times=5, status=500))
    cluster.mend()
    assert ask(api, "GET", MAPS).code == 200


def test_what_was_asked_is_known(cluster: MemoryCluster, api: Api) -> None:
    ask(api, "GET", MAPS, labelSelector="a=b")
    ask(api, "DELETE", f"{MAPS}/none")
    found = [(each.method, each.path, dict(each.parameters), each.code) for each in cluster.seen()]
    assert found == [("GET", MAPS, {"labelSelector": "a=b"}, 200), ("DELETE", f"{MAPS}/none", {}, 404)]


def test_a_hook_can_refuse_and_another_can_change(cluster: MemoryCluster, api: Api) -> None:
    def stamp(asked: Admission) -> Manifest | None:
        if asked.object is not None and asked.kind.kind == "ConfigMap":
            asked.object["metadata"].setdefault("labels", {})["stamped"] = "yes"
        return asked.object

    def few(asked: Admission) -> str | None:
        return "too much" if len((asked.object or {}).get("data") or {}) > 1 else None

    cluster.mutate(stamp)
    cluster.validate(few, "few.example")
    assert api.create(config_map("one", namespace="here"))["metadata"]["labels"] == {"stamped": "yes"}
    refused = ask(api, "POST", MAPS, config_map("two", {"a": "b", "c": "d"}))
    assert refused.code == 403
    assert refused.body["message"] == 'admission webhook "few.example" denied the request: too much'
    assert ask(api, "PATCH", f"{MAPS}/one", {"data": {"a": "b", "c": "d"}}, form=MERGE).code == 403


def test_a_defect_in_a_hook_is_the_tests_own() -> None:
    def broken(_: Admission) -> str | None:
        raise ZeroDivisionError("in the hook")

    with pytest.raises(ZeroDivisionError, match="in the hook"), MemoryCluster() as cluster:
        cluster.validate(broken)
        request = urllib.request.Request(
            f"{cluster.url}/api/v1/namespaces/default/configmaps",
            data=json.dumps(config_map("one")).encode(),
            headers={"Authorization": f"Bearer {cluster.token}", "Content-Type": "application/json"},
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=10)
        with refused.value as answer:
            assert answer.code == 500


def test_a_right_can_be_taken_and_given_back(cluster: MemoryCluster, api: Api) -> None:
    taken = cluster.deny(verb="list", resource="configmaps")
    with pytest.raises(ApiError, match='cannot list resource "configmaps"') as refused:
        api.list("v1", "ConfigMap", "here")
    assert refused.value.status == 403
    assert refused.value.hint == "ask for the right to list configmaps in namespace here"
    assert api.get("v1", "ConfigMap", "first", "here")
    cluster.allow(taken)
    assert api.list("v1", "ConfigMap", "here")


def test_the_role_that_a_check_prints_gives_what_a_check_asks_for(cluster: MemoryCluster, api: Api) -> None:
    context = cluster.user("checker")
    theirs = Api(context)
    served = frozenset({"v1", "apps/v1", "batch/v1", "gateway.networking.k8s.io/v1"})
    assert "create jobs.batch" in missing_rights(theirs, served)
    api.create(cluster_role())
    group = "rbac.authorization.k8s.io"
    api.create(
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": NAME},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": NAME},
            "subjects": [{"apiGroup": group, "kind": "User", "name": "checker"}],
        }
    )
    assert missing_rights(theirs, served) == []
    theirs.close()


def test_what_a_container_printed_is_read(cluster: MemoryCluster, api: Api) -> None:
    running(cluster)
    log = cluster.log("here", "one")
    log.write("early\nlate", at="2026-01-01T00:00:00.000000000Z")
    log.write("now", at="2026-01-02T00:00:00.000000000Z")
    assert api.logs("one", "here") == "early\nlate\nnow\n"
    place = f"{PODS}/one/log"
    assert ask(api, "GET", place, tailLines="1").text == "now\n"
    assert ask(api, "GET", place, sinceTime="2026-01-01T12:00:00Z", timestamps="true").text.endswith("Z now\n")
    assert ask(api, "GET", place, limitBytes="3").text == "ear"
    assert ask(api, "GET", place, previous="true").code == 400


def test_a_log_is_followed_to_its_end(cluster: MemoryCluster, api: Api) -> None:
    running(cluster)
    log = cluster.log("here", "one")
    log.write("first")
    with api.follow_logs("one", "here", "main") as pieces:
        assert next(pieces) == b"first\n"
        log.write("second")
        assert next(pieces) == b"second\n"
        log.end()
        assert list(pieces) == []


def test_a_container_is_named_where_there_are_several(cluster: MemoryCluster, api: Api) -> None:
    running(cluster, "two", "main", "side")
    refused = ask(api, "GET", f"{PODS}/two/log")
    assert (refused.code, refused.reason) == (400, "BadRequest")
    assert "choose one of: [main side]" in refused.body["message"]
    assert ask(api, "GET", f"{PODS}/two/log", container="side").code == 200
    only = running(cluster, "three", "main")
    cluster.put({**only, "spec": {**only["spec"], "initContainers": [{"name": "before", "image": "x"}]}})
    assert ask(api, "GET", f"{PODS}/three/log").code == 200


def test_a_command_in_a_container_is_answered_by_the_test(cluster: MemoryCluster, api: Api) -> None:
    def script(asked: ContainerCommand) -> Ran:
        return Ran(code=3, stdout=f"{asked.container}: {' '.join(asked.command)}\n", stderr="oh\n")

    running(cluster)
    cluster.execute(script)
    asked = {"command": "hostname", "stdout": "true", "stderr": "true"}
    messages: list[bytes] = []
    with api.websocket(f"{PODS}/one/exec", "v4.channel.k8s.io", asked) as stream:
        messages += [stream.receive_bytes(timeout=10) for _ in range(3)]
    assert messages[:2] == [b"\x01main: hostname\n", b"\x02oh\n"]
    status = json.loads(messages[2][1:])
    assert (messages[2][:1], status["reason"]) == (b"\x03", "NonZeroExitCode")
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]


class Told(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        content = json.dumps({"path": self.path}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def inner() -> Iterator[int]:
    """The port of a server that a pod is to have."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Told) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_a_request_is_passed_on_to_a_pods_port(cluster: MemoryCluster, api: Api, inner: int) -> None:
    running(cluster)
    cluster.lead("here", "one", 8080, inner)
    found = api.request("GET", f"{PODS}/one:8080/proxy/v2/drift", parameters={"a": "b"})
    assert found == {"path": "/v2/drift?a=b"}
    assert ask(api, "GET", f"{PODS}/one:81/proxy/v2").code == 503
    assert ask(api, "GET", f"{PODS}/none:81/proxy/v2").code == 404


def test_a_kind_can_be_added_by_a_call(cluster: MemoryCluster, api: Api) -> None:
    assert not api.serves("ray.io/v1", "RayJob")
    cluster.serve("ray.io/v1", "RayJob", "rayjobs")
    found = {"apiVersion": "ray.io/v1", "kind": "RayJob", "metadata": {"name": "one", "namespace": "here"}}
    assert api.apply({**found, "spec": {"entrypoint": "x"}})["spec"] == {"entrypoint": "x"}


def test_a_closed_cluster_lets_its_port_go_and_its_watches_end() -> None:
    with MemoryCluster() as cluster:
        port = int(cluster.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass
    with pytest.raises(OSError, match=r"(?i)refused"):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    assert not cluster.kubeconfig.exists()


def test_a_log_that_is_rotated_gives_what_came_after_and_is_followed_without_a_gap(
    cluster: MemoryCluster, api: Api
) -> None:
    running(cluster)
    log = cluster.log("here", "one")
    log.write("old")
    with api.follow_logs("one", "here", "main") as pieces:
        assert next(pieces) == b"old\n"
        log.rotate()
        log.write("new")
        assert next(pieces) == b"new\n"
        assert api.logs("one", "here") == "new\n"
        log.rotate(remnant="failed to watch file: too many open files")
        assert list(pieces) == [b"failed to watch file: too many open files"]
    assert api.logs("one", "here") == ""


def test_the_time_from_which_a_log_is_read_counts_to_the_second(cluster: MemoryCluster, api: Api) -> None:
    running(cluster)
    cluster.log("here", "one").write("early", at="2026-01-01T00:00:00.100000000Z")
    answer = ask(api, "GET", f"{PODS}/one/log", sinceTime="2026-01-01T00:00:00.900000Z")
    assert answer.text == "early\n"
