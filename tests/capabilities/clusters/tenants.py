"""A cluster in memory that keeps tenants apart: a network that carries policies out, and admission as policies say."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from urllib.parse import urlsplit

from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.memory import MemoryCluster
from plimsoll.kubernetes.memory.admission import Admission
from plimsoll.kubernetes.memory.requests import ADMINISTRATORS
from plimsoll.kubernetes.memory.selectors import of_object
from plimsoll.tenants.policy import policy_name, prefixes
from plimsoll.tenants.tenant import ASKED, OBJECT, Tenant, decoded
from tests.capabilities.clusters.nodes import Pod, State
from tests.capabilities.clusters.scene import Scene, labels_of

WAYS = ("Ingress", "Egress")


class Wire:
    """The network between pods. A subclass does something wrong."""

    ways: tuple[str, ...] = WAYS
    metadata = False

    def __init__(self, cluster: MemoryCluster) -> None:
        self.cluster = cluster

    def run(self, pod: Pod) -> State | None:
        """The program of pods that try what they reach."""
        if "try() {" not in pod.script:
            return None
        for line in pod.script.splitlines():
            words = line.split(" ")
            if words[0] == "try" and len(words) == 3:
                reached = self.reached(pod, words[2])
                pod.print(f"try {words[1]} {f'reached {reached}' if reached else 'refused curl 28'}\n")
            if words[0] == "read_word" and len(words) == 3:
                content = self.mounted(pod, words[2].split("/")[2])
                digest = hashlib.sha256(content).hexdigest()
                pod.print(f"try {words[1]} {f'reached {digest}' if content else 'refused nothing is there'}\n")
        pod.print("done\n")
        return State.ENDS

    def reached(self, pod: Pod, url: str) -> str:
        """The name of the pod that answers at an address; empty when nobody does."""
        host = urlsplit(url).hostname or ""
        if host.startswith("169.254."):
            return "credentials" if self.metadata else ""
        there = self._behind(host)
        if there is None or not self.carries(pod.manifest, there):
            return ""
        return str(there["metadata"]["name"])

    def carries(self, one: Manifest, other: Manifest) -> bool:
        """Whether the network carries a request from one pod to another."""
        out = "Egress" not in self.ways or self._allows(one, other, "Egress", "egress", "to")
        return out and ("Ingress" not in self.ways or self._allows(other, one, "Ingress", "ingress", "from"))

    def mounted(self, pod: Pod, volume: str) -> bytes:
        """What a pod reads of a secret or a config map that it mounts."""
        (source,) = [each for each in pod.manifest["spec"]["volumes"] if each["name"] == volume]
        return self.content(pod.namespace, source)

    def content(self, namespace: str, source: Manifest) -> bytes:
        """What a source of a volume gives in a namespace."""
        if "secret" in source:
            found = self.cluster.find("v1", "Secret", source["secret"]["secretName"], namespace)
            return base64.b64decode(found["data"]["word"]) if found else b""
        found = self.cluster.find("v1", "ConfigMap", source["configMap"]["name"], namespace)
        return str(found["data"]["word"]).encode() if found else b""

    def _behind(self, host: str) -> Manifest | None:
        """The pod of an address, of a service's address, or of a service's name."""
        pods = self.cluster.list("v1", "Pod")
        for service in self.cluster.list("v1", "Service"):
            metadata = service["metadata"]
            if host in (service["spec"].get("clusterIP"), f"{metadata['name']}.{metadata['namespace']}.svc"):
                wanted = service["spec"]["selector"].items()
                return next(
                    each
                    for each in pods
                    if each["metadata"]["namespace"] == metadata["namespace"] and wanted <= labels_of(each).items()
                )
        return next((each for each in pods if each["status"].get("podIP") == host), None)

    def _allows(self, pod: Manifest, peer: Manifest, way: str, rules: str, side: str) -> bool:
        namespace = pod["metadata"]["namespace"]
        chosen = [
            each["spec"]
            for each in self.cluster.list("networking.k8s.io/v1", "NetworkPolicy", namespace)
            if way in each["spec"]["policyTypes"] and of_object(each["spec"]["podSelector"])(pod)
        ]
        allowed = [each for spec in chosen for rule in spec.get(rules) or [] for each in rule.get(side) or [{}]]
        return not chosen or any(self._is(each, peer, namespace) for each in allowed)

    def _is(self, wanted: Manifest, pod: Manifest, namespace: str) -> bool:
        if "ipBlock" in wanted:
            return False
        own = self.cluster.find("v1", "Namespace", pod["metadata"]["namespace"])
        assert own is not None
        if "namespaceSelector" not in wanted:
            return pod["metadata"]["namespace"] == namespace and of_object(wanted.get("podSelector", {}))(pod)
        return bool(of_object(wanted["namespaceSelector"])(own))


class Rules:
    """Carries out what the ValidatingAdmissionPolicy of a tenant says, for who does not keep the cluster."""

    def __init__(self, cluster: MemoryCluster) -> None:
        self._cluster = cluster

    def __call__(self, asked: Admission) -> str | None:
        name = policy_name(asked.namespace)
        if ADMINISTRATORS in asked.user.groups or asked.user.name == "checker":
            return None
        if self._cluster.find("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding", name) is None:
            return None
        namespace = self._cluster.find("v1", "Namespace", asked.namespace)
        assert namespace is not None
        tenant = decoded(namespace["metadata"]["annotations"][ASKED])
        assert tenant is not None
        return next(self._problems(asked, tenant), None)

    def _problems(self, asked: Admission, tenant: Tenant) -> Iterator[str]:
        found = asked.object or asked.before or {}
        spec = found.get("spec") or {}
        if asked.kind.plural == "pods" and asked.verb != "delete" and tenant.images:
            images = [each["image"] for each in spec["containers"]]
            images += [each["image"]["reference"] for each in spec.get("volumes") or [] if "image" in each]
            if not all(image.startswith(tuple(prefixes(tenant))) for image in images):
                yield "images and image volumes of this tenant begin with its prefixes"
        if asked.kind.plural == "services" and spec.get("externalIPs"):
            yield "services of a tenant take no externalIPs"
        if asked.kind.plural == "networkpolicies":
            if found["metadata"]["name"] == OBJECT:
                yield "it is the wall of this tenant"
            if asked.verb != "delete" and any(not rule.get("to") for rule in spec.get("egress") or []):
                yield "it leads out of the tenant"


def tenants(scene: Scene, wire: type[Wire] = Wire, *, rules: bool = True) -> None:
    """A node, a network, and admission."""
    scene.cluster.add_node("node-1", extended={"nvidia.com/gpu": 1})
    scene.nodes.programs.insert(0, wire(scene.cluster).run)
    if rules:
        scene.cluster.validate(Rules(scene.cluster), "rules.plimsoll.dev")
