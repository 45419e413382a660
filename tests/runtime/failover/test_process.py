"""The process beside a service that fails over: what it forwards, what it says, and what it does without rights."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from plimsoll.kubernetes.cluster import GATEWAY
from plimsoll.kubernetes.memory import MemoryCluster
from plimsoll.runtime.failover.route import FAILED_OVER, OWN_WEIGHTS

PROGRAM = (sys.executable, "-m", "plimsoll.runtime.failover")
FRONT = "shop-api-failover"


class Side(ThreadingHTTPServer):
    """One side. `asked` are the requests that were no looks: path and host."""

    daemon_threads = True
    request_queue_size = 32

    def __init__(self) -> None:
        self.ready = True
        self.asked: list[tuple[str, str]] = []
        super().__init__(("127.0.0.1", 0), _Answers)
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class _Answers(BaseHTTPRequestHandler):
    server: Side

    def do_GET(self) -> None:
        looked = self.path.endswith("/v2/health/ready")
        if not looked:
            self.server.asked.append((self.path, self.headers["Host"]))
        self.send_response(200 if self.server.ready or not looked else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


class Beside(Struct, frozen=True, kw_only=True):
    cluster: MemoryCluster
    own: Side
    standby: Side
    port: int
    process: Any

    def ask(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"Host": "shop.example"})
            with connection.getresponse() as answer:
                return answer.status, answer.read().decode()

    def route(self) -> tuple[list[int], dict[str, str]]:
        found = self.cluster.find(GATEWAY, "HTTPRoute", "shop-api", "shop")
        assert found is not None
        backends = found["spec"]["rules"][0]["backendRefs"]
        return [each["weight"] for each in backends], found["metadata"]["annotations"]


def until(question: Callable[[], bool], limit: float = 30.0) -> bool:
    deadline = time.monotonic() + limit
    while not question():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def backend(name: str, weight: int) -> dict[str, Any]:
    return {"group": "", "kind": "Service", "name": name, "port": 80, "weight": weight}


@pytest.fixture
def rights() -> list[str]:
    """The verbs that the account has on its route."""
    return ["get", "patch"]


@pytest.fixture
def beside(tmp_path: Path, rights: list[str]) -> Iterator[Beside]:
    own, standby = Side(), Side()
    with MemoryCluster(["gateway"]) as cluster:
        cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
        metadata = {"name": "shop-api", "namespace": "shop", "annotations": {OWN_WEIGHTS: '{"shop-api":100}'}}
        rules = [{"backendRefs": [backend("shop-api", 100), backend(FRONT, 0)]}]
        cluster.put({"apiVersion": GATEWAY, "kind": "HTTPRoute", "metadata": metadata, "spec": {"rules": rules}})
        rbac, place = "rbac.authorization.k8s.io", {"name": FRONT, "namespace": "shop"}
        rule = {"apiGroups": ["gateway.networking.k8s.io"], "resources": ["httproutes"], "verbs": rights}
        rule["resourceNames"] = ["shop-api"]
        cluster.put({"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": place, "rules": [rule]})
        reference = {"apiGroup": rbac, "kind": "Role", "name": FRONT}
        subjects = [{"kind": "ServiceAccount", "name": FRONT}]
        binding = {"apiVersion": f"{rbac}/v1", "kind": "RoleBinding", "metadata": place, "roleRef": reference}
        cluster.put({**binding, "subjects": subjects})
        (tmp_path / "token").write_text(cluster.token_for(f"system:serviceaccount:shop:{FRONT}"))
        words = ["--own", f"http://{own.address}", "--standby", f"http://{standby.address}/api-standby"]
        words += ["--to", "onprem", "--namespace", "shop", "--route", "shop-api", "--front", FRONT]
        words += ["--after", "1", "--back", "1", "--api", cluster.url, "--credentials", str(tmp_path)]
        with (
            (tmp_path / "errors").open("wb") as errors,
            subprocess.Popen([*PROGRAM, *words], stdout=subprocess.PIPE, stderr=errors, text=True) as process,
        ):
            try:
                assert process.stdout is not None
                port = int(process.stdout.readline().split()[1])
                yield Beside(cluster=cluster, own=own, standby=standby, port=port, process=process)
            finally:
                process.terminate()
                assert process.wait(20) == 0
    for side in (own, standby):
        side.shutdown()
        side.server_close()


def test_requests_are_forwarded_with_the_host_and_below_the_path_of_the_other_gateway(beside: Beside) -> None:
    assert beside.ask("/v2/models/triage")[0] == 200
    assert beside.standby.asked == [("/api-standby/v2/models/triage", beside.standby.address)]
    assert not beside.own.asked


@pytest.mark.slow
def test_the_way_there_and_back_stands_on_the_route_and_in_the_metrics(beside: Beside) -> None:
    assert until(lambda: json.loads(beside.ask("/plimsoll/failover")[1]) == {
        "own": "", "standby": "", "leads": False, "why": ""
    })  # fmt: skip
    beside.own.ready = False
    assert until(lambda: beside.route()[0] == [0, 100])
    told = json.loads(beside.route()[1][FAILED_OVER])
    assert told["why"] == "it answers with status 503"
    metrics = beside.ask("/metrics")[1]
    assert "plimsoll_failover_leads 1.0" in metrics
    assert 'plimsoll_failover_ready{side="own"} 0.0' in metrics
    assert "plimsoll_failover_moves_total 1.0" in metrics
    beside.own.ready = True
    assert until(lambda: beside.route()[0] == [100, 0])
    assert FAILED_OVER not in beside.route()[1]


@pytest.mark.slow
def test_it_is_live_and_not_ready_while_the_standby_is_not(beside: Beside) -> None:
    assert until(lambda: beside.ask("/v2/health/ready")[0] == 200)
    beside.standby.ready = False
    assert until(lambda: beside.ask("/v2/health/ready")[0] == 503)
    assert beside.ask("/v2/health/live")[0] == 200


@pytest.mark.slow
@pytest.mark.parametrize("rights", [["get"]])
def test_without_the_right_to_the_route_it_says_so_once_and_goes_on_forwarding(beside: Beside, tmp_path: Path) -> None:
    beside.own.ready = False
    words = "the route stays as it is: "
    assert until(lambda: words in (tmp_path / "errors").read_text())
    assert until(lambda: sum(each.method == "PATCH" for each in beside.cluster.seen()) >= 2)
    assert (tmp_path / "errors").read_text().count(words) == 1
    assert 'cannot patch resource "httproutes"' in (tmp_path / "errors").read_text()
    assert beside.route()[0] == [100, 0]
    assert beside.ask("/v2/models/triage")[0] == 200


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--own", "shop"), "'shop' is not an address"),
        (("--own", "http://:80"), "names no host"),
        (("--standby", "ftp://x/y"), "'ftp://x/y' is not an address"),
        (("--port", "99999"), "99999"),
    ],
)
def test_what_cannot_start_says_why_on_one_line(words: tuple[str, str], reason: str) -> None:
    given = {"--own": "http://a", "--standby": "http://b", "--to": "c", "--namespace": "n", "--route": "r"}
    given |= {"--front": "f", "--api": "http://127.0.0.1:1", "--credentials": "/nowhere"}
    given |= {words[0]: words[1]}
    command = [*PROGRAM, *(word for pair in given.items() for word in pair)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert reason in ended.stderr
    assert ended.stderr.count("\n") == 1
