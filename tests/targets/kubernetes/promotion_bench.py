"""An application's service on a cluster in memory, with controllers, a registry, and servers whose pages count requests.

Nobody sends requests: each look at a server's page finds those more that its weight brings, as the route or the shares
on the cluster say at that moment.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Struct

from plimsoll.engine.promotion import promoting
from plimsoll.engine.promotion.promoting import Pace, Promotion, promote
from plimsoll.kinds.service_settings import Scale
from plimsoll.kubernetes.api import Api
from plimsoll.kubernetes.cluster import GATEWAY
from plimsoll.kubernetes.memory import MemoryCluster
from plimsoll.kubernetes.memory.controllers import Deployments, Gateways
from plimsoll.kubernetes.memory.controllers.loop import World
from plimsoll.kubernetes.memory.controllers.owning import condition, is_leaving, is_true
from plimsoll.planning.steps import WorkerResources
from plimsoll.registry.models import ModelRegistry
from plimsoll.registry.versions import Lineage, ModelVersion
from plimsoll.runtime.server.service_file import ModelFile, ServiceFile
from plimsoll.runtime.server.traffic import Share
from plimsoll.signing.keys import KeyRing
from plimsoll.targets.features import TRAFFIC
from plimsoll.targets.kubernetes import leases, names, traffic
from plimsoll.targets.kubernetes.manifests.groups import PORT, ServedVersions
from plimsoll.targets.kubernetes.manifests.models import MODEL
from plimsoll.targets.kubernetes.manifests.serving import SERVED, objects
from plimsoll.targets.kubernetes.manifests.traffic import NO_REQUEST
from plimsoll.targets.kubernetes.providers import choose, needs
from plimsoll.targets.kubernetes.target import KubernetesTarget
from plimsoll.targets.kubernetes.traffic import ClusterTraffic
from plimsoll.targets.kubernetes.work import cutover, rollout
from plimsoll.targets.options import TargetOptions

Manifest = dict[str, Any]
PER_LOOK = 1000
"""Requests between two looks, over all servers of a version."""
PACE = Pace(steps=(10, 100), requests=50, hold=0.0, limit=20.0)


class Servers:
    """A controller that has pods ready, each with a page of metrics of its own.

    `failing` and `slow` are parts of a version's requests, `refused` versions whose model no key has signed, `pending`
    those whose pods are on their way for ever. `asked` are the pods whose pages somebody has looked at.
    """

    kinds = frozenset({("", "pods")})

    def __init__(self, cluster: MemoryCluster) -> None:
        self.failing: dict[str, float] = {}
        self.slow: dict[str, float] = {}
        self.refused: set[str] = set()
        self.pending: set[str] = set()
        self.asked: set[str] = set()
        self._cluster = cluster
        self._counts: dict[str, dict[str, list[int]]] = {}
        self._open: dict[str, ThreadingHTTPServer] = {}

    def reconcile(self, world: World, found: Manifest, *, gone: bool) -> None:
        """Answer at the port of a new pod before it is ready, and end one that is to end."""
        name = found["metadata"]["name"]
        if gone:
            self._cluster.lead(found["metadata"]["namespace"], name, PORT, 1)
        elif is_leaving(found):
            world.hand.delete(found, grace=0)
        elif name not in self._open:
            self._open[name] = server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler(found))
            threading.Thread(target=server.serve_forever, args=(0.2,), daemon=True).start()
            self._cluster.lead(found["metadata"]["namespace"], name, PORT, server.server_port)
            world.hand.change(found, lambda live: live["spec"].update(nodeName="node-1"))
            world.hand.set_status(found, self._status(found))

    def _handler(self, pod: Manifest) -> type[BaseHTTPRequestHandler]:
        servers = self

        class Page(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._say(b'{"versions": []}' if self.path.endswith("/drift") else servers.page(pod).encode())

            def do_POST(self) -> None:
                asked = msgspec.json.decode(self.rfile.read(int(self.headers["Content-Length"])))
                self._say(msgspec.json.encode({"model_name": "triage", "outputs": asked["inputs"]}))

            def _say(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Page

    def _status(self, pod: Manifest) -> Manifest:
        commands = " ".join(str(each["command"]) for each in pod["spec"].get("initContainers", []))
        of = {number for number in (*self.refused, *self.pending) if f"{MODEL}s/{number}'" in commands}
        if of & self.pending:
            return {"phase": "Pending", "conditions": [condition("Ready", true=False)]}
        if of & self.refused:
            ended = {"exitCode": 1, "reason": "Error", "message": "no trusted key has signed this model"}
            waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
            told = {"name": "model-0", "restartCount": 3, "ready": False, "state": waiting}
            told["lastState"] = {"terminated": ended}
            return {"phase": "Pending", "conditions": [condition("Ready", true=False)], "initContainerStatuses": [told]}
        return {"phase": "Running", "conditions": [condition("Ready")]}

    def close(self) -> None:
        # Each looks at whether it is to end now and then.
        with ThreadPoolExecutor(32) as pool:
            list(pool.map(ThreadingHTTPServer.shutdown, self._open.values()))
        for server in self._open.values():
            server.server_close()

    def restart(self, pod: str) -> None:
        """Have a pod's server count from nothing."""
        self._counts.pop(pod, None)

    def page(self, pod: Manifest) -> str:
        """What a server says after some more requests."""
        self.asked.add(pod["metadata"]["labels"][names.VERSION])
        known = self._counts.setdefault(pod["metadata"]["name"], {})
        lines = []
        for version, weight in self._weights(pod).items():
            good, bad, slow = known.get(version, (0, 0, 0))
            asked = round(PER_LOOK * weight)
            failed = round(asked * self.failing.get(version, 0.0))
            late = round(asked * self.slow.get(version, 0.0))
            good, bad, slow = good + asked - failed, bad + failed, slow + late
            known[version] = [good, bad, slow]
            label = f'model="triage",version="{version}"'
            lines += [
                f'plimsoll_requests_total{{{label},code="200"}} {good}',
                f'plimsoll_requests_total{{{label},code="500"}} {bad}',
                f'plimsoll_request_seconds_bucket{{{label},le="0.1"}} {good + bad - slow}',
                f'plimsoll_request_seconds_bucket{{{label},le="+Inf"}} {good + bad}',
                f"plimsoll_model_info{{{label}}} 1",
            ]
        return "\n".join([*lines, ""])

    def _weights(self, pod: Manifest) -> dict[str, float]:
        """The part of all requests that comes to each version of a pod."""
        namespace, labels = pod["metadata"]["namespace"], pod["metadata"]["labels"]
        told = next(each["configMap"]["name"] for each in pod["spec"]["volumes"] if each["name"] == "told")
        config = self._cluster.find("v1", "ConfigMap", told, namespace)
        assert config is not None
        file = msgspec.json.decode(config["data"]["service.json"], type=ServiceFile)
        shares = file.traffic.get("triage", ())
        if shares:
            return {each.version: each.weight / max(1, sum(each.weight for each in shares)) for each in shares}
        version = labels[names.VERSION]
        return {file.models[-1].version: weights_of(self._cluster, namespace).get(version, 0.0)}


def weights_of(cluster: MemoryCluster, namespace: str = "app") -> Mapping[str, float]:
    """The part of the requests that the main route leads to each group of servers, by the group's version."""
    if not any(each["apiVersion"] == GATEWAY for each in routes(cluster, namespace)):
        return {"all": 1.0}
    route = cluster.find(GATEWAY, "HTTPRoute", "app-triage", namespace)
    assert route is not None
    found = {}
    for each in route["spec"]["rules"][0]["backendRefs"]:
        service = cluster.find("v1", "Service", each["name"], namespace)
        assert service is not None, f"the route leads to {each['name']}, which is not there"
        version = service["metadata"]["labels"].get(names.VERSION, "all")
        found[version] = each.get("weight", 1)
    return {version: weight / sum(found.values()) for version, weight in found.items()}


def routes(cluster: MemoryCluster, namespace: str = "app") -> list[Manifest]:
    try:
        return cluster.list(GATEWAY, "HTTPRoute", namespace)
    except KeyError:
        return []


class Watchman:
    """A controller that looks, after each change, whether somebody is there for all requests that are led somewhere."""

    kinds = frozenset({("", "pods"), ("", "services"), ("gateway.networking.k8s.io", "httproutes")})

    def __init__(self, cluster: MemoryCluster) -> None:
        self.outages: list[str] = []
        self._cluster = cluster

    def reconcile(self, world: World, found: Manifest, *, gone: bool) -> None:
        for route in routes(self._cluster) or [{"spec": {"rules": [{"backendRefs": [{"name": "app-triage"}]}]}}]:
            hidden = NO_REQUEST in str(route["spec"]["rules"])
            for each in [] if hidden else [each for rule in route["spec"]["rules"] for each in rule["backendRefs"]]:
                if each.get("weight", 1) and not self._ready(each["name"]):
                    self.outages.append(f"{each['name']} after a change of {found['kind']} {found['metadata']['name']}")

    def _ready(self, service: str) -> bool:
        front = self._cluster.find("v1", "Service", service, "app")
        pods = self._cluster.list("v1", "Pod", "app", names.selector(front["spec"]["selector"])) if front else []
        return any(is_true(each, "Ready") and not is_leaving(each) for each in pods)


class Moment(Struct, frozen=True, kw_only=True):
    """The cluster at one step: weights by version, generations of Deployments, and what the record says."""

    weights: Mapping[str, float]
    servers: Mapping[str, int]
    record: ServedVersions


class Bench:
    """The application `app` with the service `triage`, on the cluster that the environment names."""

    def __init__(self, cluster: MemoryCluster, directory: Path, registry: str) -> None:
        self.cluster = cluster
        self.directory = directory
        self.registry = registry
        self.said: list[str] = []
        self.moments: list[Moment] = []
        self.servers = Servers(cluster)
        self.watchman = Watchman(cluster)
        self.api = Api(cluster.context)
        self._targets: list[KubernetesTarget] = []
        cluster.run(self.servers, Deployments())
        self.models = ModelRegistry(self.target().state.registry, KeyRing.default())

    def with_gateway(self) -> Bench:
        spec = {"controllerName": "plimsoll.dev/memory"}
        meta = {"name": "lab"}
        self.cluster.put({"apiVersion": GATEWAY, "kind": "GatewayClass", "metadata": meta, "spec": spec})
        self.cluster.run(Gateways())
        assert self.cluster.wait_for(lambda: is_true(self.cluster.list(GATEWAY, "GatewayClass")[0], "Accepted"))
        return self

    def close(self) -> None:
        for each in self._targets:
            each.close()
        self.api.close()
        self.servers.close()

    def target(self, context: str = "") -> KubernetesTarget:
        """The application on the cluster, as a process of its own meets it."""
        options = TargetOptions(namespace="app", registry=self.registry)
        found = KubernetesTarget(context or self.cluster.context, self.directory, "app", options)
        self._targets.append(found)
        return found

    def register(self, **settings: object) -> ModelVersion:
        """One more version of the model, accepted."""
        number = len(self.models.versions("triage")) + 1
        source = self.directory / "trained"
        source.mkdir(exist_ok=True)
        (source / "model.onnx").write_bytes(b"weights %d" % number)
        lineage = Lineage(run="r1", step="train/triage", key=f"k{number}")
        given: dict[str, object] = {"metrics": {"accuracy": 0.9}, "accept": {}, **settings}
        return self.models.add("triage", {"model.onnx": source / "model.onnx"}, lineage=lineage, **given)  # type: ignore[arg-type]

    def serve(self, *shares: Share, versions: tuple[str, ...] = ("1",), **more: Any) -> ServedVersions:
        """Have the service up as `plimsoll run` leaves it."""
        served = served_of(*shares, versions=versions, **more)
        target = self.target()
        if self.cluster.find("v1", "Namespace", "app") is None:
            self.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "app"}})
        for manifest in objects(served, target.cluster, chosen(target)):
            self.api.apply({**manifest, "metadata": {**manifest["metadata"], "namespace": "app"}})
        assert self.settled()
        self.cluster.run(self.watchman)
        return served

    def settled(self) -> bool:
        """Whether all Deployments become ready, and what leaves has left."""
        return self.cluster.wait_for(lambda: all(self._is_ready(each) for each in self.deployments().values()))

    def promote(
        self, reference: str = "triage@2", *, pace: Pace = PACE, stopped: Callable[[], bool] = lambda: False
    ) -> Promotion:
        return promote(self.target(), reference, service=None, pace=pace, say=self.say, stopped=stopped)

    def say(self, line: str) -> None:
        """Take what a promotion says; at each of its steps, what the cluster is like then."""
        self.said.append(line)
        if "% of the requests go to" in line:
            servers = {name: each["metadata"]["generation"] for name, each in self.deployments().items()}
            weights = weights_of(self.cluster)
            self.moments.append(Moment(weights=weights, servers=servers, record=self.record()))

    def mover(self, stopped: Callable[[], bool] = lambda: False) -> ClusterTraffic:
        """The service's traffic, as a promotion has it."""
        found = self.target().features.require(TRAFFIC)("triage", None, self.say, stopped)
        assert isinstance(found, ClusterTraffic)
        return found

    def ready_pods(self) -> set[str]:
        """Names of pods that are ready."""
        return {each["metadata"]["name"] for each in self.cluster.list("v1", "Pod", "app") if is_true(each, "Ready")}

    def deployments(self) -> dict[str, Manifest]:
        return {each["metadata"]["name"]: each for each in self.cluster.list("apps/v1", "Deployment", "app")}

    def specs(self) -> dict[tuple[str, str], bytes]:
        """What is wanted of everything that the application has on the cluster: no status, and no bookkeeping."""
        kinds = [("v1", "ConfigMap"), ("v1", "Service"), ("v1", "ServiceAccount"), ("apps/v1", "Deployment")]
        kinds += [("networking.k8s.io/v1", "NetworkPolicy"), ("policy/v1", "PodDisruptionBudget")]
        kinds += [("coordination.k8s.io/v1", "Lease")]
        found = [each for kind in kinds for each in self.cluster.list(*kind, "app")] + routes(self.cluster)
        wanted = {}
        for each in found:
            metadata = {key: each["metadata"].get(key) for key in ("labels", "annotations")}
            content = {key: dict(each[key]) for key in ("spec", "data") if key in each}
            # A Service that is made anew has another address.
            for given in ("clusterIP", "clusterIPs"):
                content.get("spec", {}).pop(given, None)
            if each["metadata"]["name"] != "kube-root-ca.crt" and each["metadata"]["name"] != "default":
                wanted[each["kind"], each["metadata"]["name"]] = msgspec.json.encode(
                    [metadata, content], order="deterministic"
                )
        return wanted

    def record(self) -> ServedVersions:
        """What the service serves, as its record says."""
        found = self.cluster.find("v1", "ConfigMap", "app-triage-served", "app")
        assert found is not None
        return msgspec.json.decode(found["data"][SERVED], type=ServedVersions)

    def lease(self) -> Manifest | None:
        return self.cluster.find("coordination.k8s.io/v1", "Lease", "app-triage-promotion", "app")

    def _is_ready(self, deployment: Manifest) -> bool:
        status = deployment.get("status") or {}
        wanted = deployment["spec"]["replicas"]
        return bool(
            status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
            and status.get("availableReplicas") == status.get("updatedReplicas") == status.get("replicas") == wanted
        )


def served_of(*shares: Share, versions: tuple[str, ...] = ("1",), **more: Any) -> ServedVersions:
    models = tuple(
        ModelFile(name="triage", version=each, path=f"{MODEL}s/{each}/model.onnx", digest=f"sha256:{each}")
        for each in versions
    )
    given = {
        "application": "app",
        "service": "triage",
        "file": ServiceFile(models=models, traffic={"triage": shares} if shares else {}),
        "models": {f"{MODEL}s/{each}": f"registry/app/models/triage@sha256:{each}" for each in versions},
        "key": "0123456789abcdef" * 4,
        "resources": WorkerResources(),
        "image": "registry/plimsoll/runtime@sha256:0",
        "scale": Scale(),
    }
    return ServedVersions(**{**given, **more})


def chosen(target: KubernetesTarget) -> dict[str, str]:
    return {need: choose(target.cluster, need).provider for need in needs(target.cluster)}


@contextmanager
def bench_on(cluster: MemoryCluster, directory: Path, registry: str) -> Iterator[Bench]:
    """A bench with versions 1 and 2 of the model."""
    bench = Bench(cluster, directory, registry)
    try:
        bench.register()
        bench.register()
        yield bench
    finally:
        bench.close()


def quicken(monkeypatch: pytest.MonkeyPatch, cluster: MemoryCluster, directory: Path) -> None:
    """Have nothing waited for that a cluster in memory does at once, and keys of the test's own."""
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(directory / "config"))
    monkeypatch.setattr(traffic, "SPREAD", 0.0)
    monkeypatch.setattr(cutover, "FOLLOWED", 0.0)
    monkeypatch.setattr(rollout, "LOOK", 0.02)
    monkeypatch.setattr(promoting, "POLL_INTERVAL", 0.02)
    monkeypatch.setattr(leases, "LOOK", 0.02)
    monkeypatch.setattr(leases, "WATCHED", 0.1)
