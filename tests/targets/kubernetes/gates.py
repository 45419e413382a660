"""The way into clusters in memory: gateways that follow their routes, and what stands before standbys, as processes.

A gateway here is a real server that chooses a backend by the weights of the route as it stands at that moment. What
leads to another cluster is the program of its pod, with the rights of the pod's account and no others.
"""

from __future__ import annotations

import contextlib
import http.client
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from plimsoll.kubernetes.cluster import GATEWAY
from plimsoll.kubernetes.memory.controllers import Gateways, Running
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.manifests.groups import PORT
from tests.targets.kubernetes.bench import APPLICATION, Bench
from tests.targets.kubernetes.serving import Server

PROGRAM = "plimsoll.runtime.failover"


class _Listening(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


class Gate:
    """The gateway of one cluster. `server` are the servers of its services, `fronts` what leads to other clusters.

    `lets` says that pods of the latter become ready; `begun` is set once one has started.
    """

    def __init__(self, bench: Bench, server: Server, place: Path) -> None:
        self.bench = bench
        self.server = server
        self.fronts: dict[str, int] = {}
        self.processes: list[subprocess.Popen[str]] = []
        self.servers: list[Running] = []
        self.lets = True
        self.begun = threading.Event()
        self._starting, self._closing = threading.Lock(), False
        self._place = place
        self._listening = _Listening(("127.0.0.1", 0), _handler(self))
        self.address = f"127.0.0.1:{self._listening.server_port}"
        threading.Thread(target=self._listening.serve_forever, args=(0.01,), daemon=True).start()

    def open(self) -> None:
        """Have the cluster's gateways be this one."""
        kind = {"apiVersion": GATEWAY, "kind": "GatewayClass", "metadata": {"name": "memory"}}
        accepted = {"conditions": [{"type": "Accepted", "status": "True"}]}
        self.bench.cluster.put({**kind, "spec": {"controllerName": "plimsoll.dev/memory"}, "status": accepted})
        self.bench.cluster.run(Gateways(address=self.address))
        self.bench.serves = self._serves
        self.bench.says_ready = lambda pod: names.STANDS_BEFORE in pod["metadata"]["labels"]

    def close(self) -> None:
        """End it, and all processes that pods have started."""
        self._listening.shutdown()
        self._listening.server_close()
        with self._starting:
            # What starts again after this would be ended by nobody.
            self._closing = True
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(20)

    def route(self, name: str = f"{APPLICATION}-api") -> dict[str, Any]:
        """A route as it stands."""
        found = self.bench.find("HTTPRoute", name, GATEWAY)
        assert found is not None
        return found

    def weights(self) -> list[int]:
        """The weights of the service's own servers and of its standby."""
        (rule,) = self.route()["spec"]["rules"]
        return [each["weight"] for each in rule["backendRefs"]]

    def backend(self, path: str) -> tuple[int, str] | None:
        """The port that a request goes to, and its path there; None where no route leads."""
        for route in self.bench.cluster.list(GATEWAY, "HTTPRoute", APPLICATION):
            for rule in route["spec"]["rules"]:
                for match in rule["matches"]:
                    prefix = match["path"]["value"]
                    if match.get("headers") or not f"{path}/".startswith(f"{prefix}/"):
                        continue
                    backends = rule["backendRefs"]
                    (chosen,) = random.choices(backends, [each["weight"] for each in backends])
                    return self._port(chosen["name"]), path.removeprefix(prefix) or "/"
        return None

    def _port(self, service: str) -> int:
        found = self.bench.find("Service", service)
        assert found is not None, service
        before = found["spec"]["selector"].get(names.STANDS_BEFORE)
        return self.fronts[before] if before else self.server.server_port

    def _serves(self, running: Running) -> None:
        container = running.pod["spec"]["containers"][0]
        if PROGRAM not in container["command"]:
            self.servers.append(running)
            running.stopped.wait()
            self.servers.remove(running)
            return
        words = container["command"][container["command"].index(PROGRAM) + 1 :]
        given = dict(zip(words[::2], words[1::2], strict=True))
        given |= {"--own": f"http://127.0.0.1:{self.server.server_port}", "--host": "127.0.0.1", "--port": "0"}
        given |= {"--api": self.bench.cluster.url, "--credentials": str(self._credentials(running))}
        command = [sys.executable, "-m", PROGRAM, *(word for pair in given.items() for word in pair)]
        with self._starting:
            if self._closing:
                return
            started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            self.processes.append(started)
        with started as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            if self._closing or running.stopped.is_set():
                process.terminate()
                return
            assert line.startswith("port "), line
            port = int(line.split()[1])
            self.fronts[running.pod["metadata"]["labels"][names.STANDS_BEFORE]] = port
            self.bench.cluster.lead(APPLICATION, running.name, PORT, port)
            if self.lets:
                running.ready()
            self.begun.set()
            threading.Thread(target=_print, args=(running, process), daemon=True).start()
            while not running.stopped.wait(0.05) and process.poll() is None:
                pass
            process.terminate()
            process.wait(20)

    def _credentials(self, running: Running) -> Path:
        """What the pod's account is known by, as the kubelet would have put it there."""
        place = self._place / running.name
        place.mkdir(parents=True, exist_ok=True)
        account = f"system:serviceaccount:{APPLICATION}:{running.pod['spec']['serviceAccountName']}"
        (place / "token").write_text(self.bench.cluster.token_for(account))
        return place


def _print(running: Running, process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ValueError):
        for line in process.stdout or ():
            running.print(line)


def _handler(gate: Gate) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._forward()

        def do_POST(self) -> None:
            self._forward()

        def _forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            found = gate.backend(self.path)
            if found is None:
                self._answer(404, b"no route")
                return
            port, path = found
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            try:
                connection.request(self.command, path, body or None, {"Host": self.headers["Host"]})
                answer = connection.getresponse()
                self._answer(answer.status, answer.read())
            except OSError:
                # As a gateway does that has no server which answers.
                self._answer(503, b"no healthy upstream")
            finally:
                connection.close()

        def _answer(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


@contextlib.contextmanager
def gates(place: Path, **sides: tuple[Bench, Server]) -> Iterator[dict[str, Gate]]:
    """A gateway for each cluster, by its name."""
    made: dict[str, Gate] = {}
    try:
        for name, (bench, server) in sides.items():
            made[name] = Gate(bench, server, place / name)
            made[name].open()
        yield made
    finally:
        for gate in made.values():
            gate.close()


def asked(gate: Gate, path: str = "/api/v2/models/triage") -> int:
    """The status of a request at a gateway."""
    connection = http.client.HTTPConnection(gate.address, timeout=20)
    try:
        connection.request("GET", path)
        with connection.getresponse() as answer:
            return answer.status
    finally:
        connection.close()
