"""A cluster in memory, as tests use it."""

from __future__ import annotations

import platform
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import yaml
from msgspec.structs import replace

from plimsoll.kubernetes.memory.access import Denial
from plimsoll.kubernetes.memory.admission import Mutate, Validate
from plimsoll.kubernetes.memory.controllers.loop import Controller, Loop
from plimsoll.kubernetes.memory.faults import Fault
from plimsoll.kubernetes.memory.hand import Hand, ensure_namespace
from plimsoll.kubernetes.memory.http_server import ApiServer
from plimsoll.kubernetes.memory.kinds import ADDONS, BUILT_IN, ServedKind, ServedKinds
from plimsoll.kubernetes.memory.objects import Objects
from plimsoll.kubernetes.memory.pod_logs import Log
from plimsoll.kubernetes.memory.refusals import Manifest
from plimsoll.kubernetes.memory.requests import User
from plimsoll.kubernetes.memory.serving import Seen, Serving, administrator
from plimsoll.kubernetes.memory.store import Store
from plimsoll.kubernetes.memory.streams import Execute

CONTEXT = "memory"
_ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
VERSION = "v1.34.2"
_FIRST_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


class MemoryCluster:
    """A Kubernetes API on a free port of 127.0.0.1 for as long as the block runs, with a kubeconfig that leads to it.

    `addons` are names of `kinds.ADDONS`, such as `jobset`, `kueue` and `gateway`, whose kinds are then served. Nothing
    happens to objects by itself but what an API server and its garbage collector do; `run` switches controllers on.

        with MemoryCluster(addons=["gateway"]) as cluster:
            cluster.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one", "namespace": "here"}})
            os.environ["KUBECONFIG"] = str(cluster.kubeconfig)
            Api(cluster.context).get("v1", "ConfigMap", "one", "here")

    At the end of the block, defects in hooks, scripts and controllers that a test has handed in are raised.
    """

    def __init__(self, addons: Iterable[str] = (), *, version: str = VERSION, directory: Path | None = None) -> None:
        kinds = ServedKinds([*BUILT_IN, *(kind for name in addons for kind in ADDONS[name])])
        self._objects = Objects(Store(), kinds)
        self._serving = Serving(self._objects, version)
        self._own = directory is None
        self._directory = directory or Path(tempfile.mkdtemp(prefix="plimsoll-memory-"))
        self._server = ApiServer(self._serving)
        self._loop = Loop(Hand(self._objects, "controller"), self._serving)
        self._hand = Hand(self._objects, "test")
        self.context = CONTEXT
        with self._objects.store.lock:
            for name in _FIRST_NAMESPACES:
                ensure_namespace(self._objects.store, name)
        self._contexts: dict[str, str] = {}
        self._add_context(CONTEXT, administrator("admin"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        problems = [*self._server.problems, *self._loop.problems]
        if problems and error is None:
            raise problems[0]

    def close(self) -> None:
        """End controllers, streams and connections."""
        self._loop.close()
        self._serving.watches.close()
        self._serving.logs.close()
        self._server.stop()
        if self._own:
            shutil.rmtree(self._directory, ignore_errors=True)

    @property
    def url(self) -> str:
        """The server's address."""
        return self._server.url

    @property
    def kubeconfig(self) -> Path:
        """The file that names the cluster's contexts."""
        return self._directory / "kubeconfig"

    @property
    def token(self) -> str:
        """The bearer token of the context's administrator."""
        return self._contexts[CONTEXT]

    def user(self, name: str, *groups: str) -> str:
        """A user without rights but by RBAC objects of the cluster; gives the name of a context of theirs."""
        self._add_context(name, User(name=name, groups=(*groups, "system:authenticated")))
        return name

    def token_for(self, name: str, *audiences: str, groups: tuple[str, ...] = ()) -> str:
        """A token of a user or a service account (`system:serviceaccount:…`) for these audiences, with no context."""
        token = secrets.token_hex(16)
        user = User(name=name, groups=(*groups, "system:authenticated"))
        self._serving.users[token] = replace(user, audiences=audiences) if audiences else user
        return token

    def forget(self, token: str) -> None:
        """Take a token away, as when its account is deleted."""
        del self._serving.users[token]

    def _add_context(self, context: str, user: User) -> None:
        token = secrets.token_hex(8)
        self._serving.users[token] = user
        self._contexts[context] = token
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": CONTEXT,
            # There is no TLS on loopback, and a client need not read the system's authorities for it.
            "clusters": [{"name": CONTEXT, "cluster": {"server": self.url, "insecure-skip-tls-verify": True}}],
            "contexts": [{"name": each, "context": {"cluster": CONTEXT, "user": each}} for each in self._contexts],
            "users": [{"name": each, "user": {"token": token}} for each, token in self._contexts.items()],
        }
        self.kubeconfig.write_text(yaml.safe_dump(content), encoding="utf-8")

    def serve(
        self, api_version: str, kind: str, plural: str, *, namespaced: bool = True, schema: Manifest | None = None
    ) -> None:  # never changed
        """Serve one more kind, with a status of its own, as a CustomResourceDefinition would make it."""
        group, _, version = api_version.rpartition("/")
        self._objects.kinds.add(
            ServedKind(
                group=group,
                version=version,
                kind=kind,
                plural=plural,
                namespaced=namespaced,
                subresources=frozenset({"status"}),
                generation=True,
                custom=True,
                schema=schema or {},
            )
        )

    def put(self, manifest: Manifest) -> Manifest:
        """Have an object exactly so, status and all; nothing is checked, and its namespace is made: see `Hand.put`."""
        return self._hand.put(manifest)

    def find(self, api_version: str, kind: str, name: str, namespace: str = "") -> Manifest | None:
        """An object as it stands, or `None`."""
        return self._hand.find(api_version, kind, name, namespace)

    def list(self, api_version: str, kind: str, namespace: str = "", selector: str = "") -> list[Manifest]:
        """Objects as they stand; of all namespaces when none is given."""
        return self._hand.list(api_version, kind, namespace, selector)

    def delete(self, manifest: Manifest, grace: int | None = None) -> None:
        """Ask for an object's end, as somebody else in the cluster would."""
        self._hand.delete(manifest, grace)

    def add_node(
        self,
        name: str,
        *,
        cpu: str = "8",
        memory: str = "16Gi",
        extended: Mapping[str, int] | None = None,
        labels: Mapping[str, str] | None = None,
        taints: Iterable[Manifest] = (),
        ready: bool = True,
        architecture: str = _ARCHITECTURE,
    ) -> Manifest:
        """A node with that much to give; `extended` counts devices by resource, such as `nvidia.com/gpu`."""
        devices = {resource: str(count) for resource, count in (extended or {}).items()}
        room = {"cpu": cpu, "memory": memory, "pods": "110", **devices}
        condition = {"type": "Ready", "status": str(ready), "reason": "KubeletReady" if ready else "NodeStatusUnknown"}
        info = {"kubeletVersion": self._serving.version, "containerRuntimeVersion": "containerd://2.1.4"}
        known = {"kubernetes.io/hostname": name, "kubernetes.io/arch": architecture}
        info["architecture"] = architecture
        return self.put(
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": name, "labels": {**known, **(labels or {})}},
                "spec": {"taints": list(taints)} if taints else {},
                "status": {"capacity": room, "allocatable": room, "conditions": [condition], "nodeInfo": info},
            }
        )

    def run(self, *controllers: Controller) -> None:
        """Switch controllers on; they find what is there already. See `memory.controllers`."""
        self._loop.add(*controllers)

    def wait_for(self, question: Callable[[], object], seconds: float = 10.0) -> bool:
        """Whether something comes true within a time; it is asked again after each change of an object."""
        return self._loop.wait_for(question, seconds)

    def mutate(self, hook: Mutate) -> None:
        """Have a hook change objects before they are taken: see `admission.Mutate`."""
        self._objects.admitters.mutate(hook)

    def validate(self, hook: Validate, name: str = "test.plimsoll.dev") -> None:
        """Have a hook refuse objects, as the webhook of that name: see `admission.Validate`."""
        self._objects.admitters.validate(hook, name)

    def deny(self, **denial: str) -> Denial:
        """Take a right from everybody, by verb, group, resource, namespace and name; those left out are any."""
        found = Denial(**denial)
        self._serving.access.deny(found)
        return found

    def allow(self, denial: Denial) -> None:
        """Give a right back that `deny` took."""
        self._serving.access.allow(denial)

    def fail(self, fault: Fault) -> None:
        """Have the next requests go wrong: see `Fault`."""
        self._serving.faults.add(fault)

    def mend(self) -> None:
        """Forget all faults."""
        self._serving.faults.clear()

    def drop_watches(self) -> None:
        """Break off the watches that are open."""
        self._serving.watches.drop()

    @property
    def watches(self) -> int:
        """How many watches are open."""
        return self._serving.watches.open

    def compact(self) -> None:
        """Forget the history of changes: older watches and pages of lists end with 410."""
        self._objects.store.compact()

    def log(self, namespace: str, pod: str, container: str = "main") -> Log:
        """What a container prints, to be written to."""
        return self._serving.logs.of(namespace, pod, container)

    def lead(self, namespace: str, pod: str, port: int, to: int) -> None:
        """Have a pod's port lead to a port of this machine, for port-forward and proxy; an empty `pod` is any pod."""
        self._serving.ports.lead(namespace, pod, port, to)

    def execute(self, script: Execute) -> None:
        """Have a function answer commands that are run in containers."""
        self._serving.script = script

    def seen(self) -> Sequence[Seen]:
        """The requests that were answered so far."""
        return self._serving.seen()
