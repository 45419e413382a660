"""A cluster in memory that does at once what probes ask of it, and writes down the rights that they use."""

from __future__ import annotations

import copy
import re
from typing import Any

import msgspec

from plimsoll.kubernetes.api import Api, ApiError, Manifest

LASTING = ("sleep 3600", "sleep 600", "sleep 900", "netexec", "test-webserver", "/epp:")
CLUSTER_KINDS = ("Namespace", "ClusterQueue", "ResourceFlavor", "Node")
NODE = "node-3"
CONDITIONS = {
    "Gateway": ("Programmed",),
    "JobSet": ("Completed",),
    "TrainJob": ("Complete",),
    "InferenceService": ("Ready",),
}
_FACTORS = re.compile(r"\$\(\((\d+)\*(\d+)\)\)")
_SCRAPE = re.compile(r"== ([\w-]+) (\d+)")
_SERIES = re.compile(r"plimsoll_[0-9a-f]{12}")


class ClusterInMemory(Api):
    """Keeps what is applied; pods with a lasting command run, others have succeeded. `used` has group, resource, verb."""

    def __init__(self) -> None:
        self.target = "memory"
        self.objects: dict[tuple[str, str], Manifest] = {}
        self.used: set[tuple[str, str, str]] = set()
        self.applied: list[Manifest] = []
        self.looks = 0

    def _use(self, api_version: str, kind: str, *verbs: str, part: str = "") -> None:
        group = api_version.partition("/")[0] if "/" in api_version else ""
        plural = f"{kind.lower()}{'es' if kind.endswith('s') else 's'}"
        self.used |= {(group, plural + part, verb) for verb in verbs}

    def kind(self, api_version: str, kind: str) -> Manifest:
        return {"namespaced": kind not in CLUSTER_KINDS}

    def serves(self, api_version: str, kind: str) -> bool:
        return True

    def apply(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        self._use(manifest["apiVersion"], manifest["kind"], "patch", "create")
        self.applied.append(copy.deepcopy(manifest))
        self._keep(manifest)
        return self._seen(self.objects[manifest["kind"], manifest["metadata"]["name"]])

    def _keep(self, manifest: Manifest) -> None:
        kept = copy.deepcopy(manifest)
        name, spec = kept["metadata"]["name"], kept.get("spec", {})
        kept["metadata"] |= {"uid": f"uid-{name}", "generation": 1}
        self.objects[kept["kind"], name] = kept
        if kept["kind"] == "Deployment":
            self._keep_pod(f"{name}-pod", spec["template"]["metadata"]["labels"], spec["template"]["spec"])
        if kept["kind"] == "Job":
            for number in range(spec["parallelism"]):
                self._keep_pod(f"{name}-{number}", {"plimsoll.dev/gang": name}, spec["template"]["spec"])
        if kept["kind"] == "JobSet":
            pod = spec["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]
            self._keep_pod(f"{name}-pod", {"jobset.sigs.k8s.io/jobset-name": name}, pod)

    def _keep_pod(self, name: str, labels: dict[str, str], spec: Manifest) -> None:
        metadata = {"name": name, "labels": labels}
        self._keep({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})

    def create(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        self._use(manifest["apiVersion"], manifest["kind"], "create")
        assert dry_run
        if manifest["metadata"]["name"].endswith("-bad"):
            word = re.findall(r"nobody-\w+", str(manifest))[0]
            message = f'admission webhook "vjobset.kb.io" denied the request: there is no job {word}'
            raise ApiError(message, status=403)
        return manifest

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Manifest:
        self._use(api_version, kind, "get")
        if kind == "ServiceAccount":
            return {"metadata": {"name": name}}
        if kind == "Service" and (kind, name) not in self.objects:
            return {"spec": {"selector": {"role": "controller"}}}
        if (kind, name) not in self.objects:
            raise ApiError(f"there is no {kind} {name}", status=404)
        return self._seen(self.objects[kind, name])

    def list(self, api_version: str, kind: str, namespace: str | None = None, selector: str = "") -> list[Manifest]:
        self._use(api_version, kind, "list")
        self.looks += 1
        pods = [name for of, name in self.objects if of == "Pod"]
        if kind == "Lease":
            return [{"spec": {"holderIdentity": "controller-1_a"}}]
        if kind == "Event":
            return [{"involvedObject": {"name": name, "kind": "Pod"}, "reason": "Scheduled"} for name in pods]
        if kind == "ResourceClaim":
            return [_allocated(name) for of, name in self.objects if of == kind]
        if selector == "role=controller":
            number = 1 if ("Pod", "controller-1") not in self.objects else 2
            self.objects["Pod", "controller-1"] = {"metadata": {"name": "gone"}}
            metadata = {"name": f"controller-{number}", "uid": str(number)}
            return [{"metadata": metadata, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}]
        found = [self._seen(each) for (of, _), each in self.objects.items() if of == kind and "kind" in each]
        if kind == "Pod" and namespace is None:
            found.append(_exporter())
        key, _, value = selector.partition("=")
        return [each for each in found if not key or each["metadata"].get("labels", {}).get(key) == value]

    def delete(
        self, api_version: str, kind: str, name: str, namespace: str | None = None, grace: int | None = None
    ) -> None:
        self._use(api_version, kind, "delete")
        self.objects.pop((kind, name), None)

    def logs(self, pod: str, namespace: str, container: str | None = None) -> str:
        self._use("v1", "Pod", "get", part="/log")
        script = str(self.objects["Pod", pod]["spec"]["containers"])
        if pod in ("look", "scrapes"):
            return "".join(_page(case, number) for case, number in _SCRAPE.findall(script))
        if pod == "load":
            return "ACC-1\nit listens\n"
        if pod.startswith("order"):
            return "drawn 4242\n"
        if pod.startswith("stream-"):
            return "1.0\n1.5\n2.0\n"
        if pod.startswith("client-"):
            names = [name for of, name in self.objects if of == "Pod" and name.startswith(("backend-", "server-"))]
            return f"{names[0]} 200\n{names[1]} 200\n 503\n"
        if pod.startswith(("question", "answer", "again-")):
            series = [{"metric": {"who": "podmonitor", "token": "t"}, "value": [1.0, "4242"]}]
            return msgspec.json.encode({"data": {"result": series}}).decode()
        if found := _SERIES.search(script):
            return f'{found[0]}{{who="{pod}",token="t"}} 17\n'
        if "uname -srv" in script:
            return "uname Linux\nbooted 5\nboot b\nversion v\nlog l\nmemory 9\n"
        products = [
            f"worked out {int(a) * int(b)} and answer {int(a) * int(b)} by me" for a, b in _FACTORS.findall(script)
        ]
        listing = _FILES if "/orders" in script or "-without" in pod else _DEVICES
        return "\n".join([*products, *listing])

    def _seen(self, kept: Manifest) -> Manifest:
        found = copy.deepcopy(kept)
        true = [{"type": each, "status": "True"} for each in CONDITIONS.get(found["kind"], ())]
        found["status"] = {"conditions": true, **_status(found)}
        if found["kind"] == "Pod":
            found["spec"].setdefault("nodeName", NODE)
        return found


def _status(found: Manifest) -> dict[str, Any]:
    kind = found["kind"]
    if kind == "Pod":
        lasting = any(word in str(found["spec"]["containers"]) for word in LASTING)
        containers = [{"imageID": "sha256:1", "image": "image", "state": {}}]
        ready = [{"type": "Ready", "status": "True"}]
        phase = "Running" if lasting else "Succeeded"
        return {"phase": phase, "podIP": "10.0.0.1", "conditions": ready, "containerStatuses": containers}
    if kind == "Gateway":
        return {"addresses": [{"value": "10.0.0.2"}]}
    if kind == "HTTPRoute":
        accepted = {"type": "Accepted", "status": "True", "observedGeneration": 1}
        return {"parents": [{"conditions": [accepted, {"type": "ResolvedRefs", "status": "True"}]}]}
    if kind == "Deployment":
        found["spec"]["replicas"] = 1
        return {"replicas": 1, "readyReplicas": 1}
    if kind == "HorizontalPodAutoscaler":
        return {"currentMetrics": [{"type": "Pods", "pods": {"current": {"averageValue": "1"}}}]}
    return {}


def _allocated(name: str) -> Manifest:
    result = {"driver": "driver", "pool": "pool", "device": "device", "request": "device"}
    return {"metadata": {"name": name}, "status": {"allocation": {"devices": {"results": [result]}}}}


def _exporter() -> Manifest:
    container = {"ports": [{"containerPort": 9400}], "resources": {"requests": {"cpu": "100m"}}}
    status = {"podIP": "10.0.0.3", "phase": "Running"}
    return {"metadata": {"name": "exporter"}, "spec": {"nodeName": NODE, "containers": [container]}, "status": status}


def _page(case: str, number: str) -> str:
    value = 0.9 if case == "loaded" else 0.0
    lines = [f"== {case} {number}", "did"]
    for device in ("ACC-1", "ACC-2"):
        lines.append(f'plimsoll_accelerator_utilization_ratio{{uuid="{device}"}} {value}')
        lines.append(f'plimsoll_accelerator_memory_used_bytes{{uuid="{device}"}} 5')
    return "\n".join(lines) + "\n"


_DEVICES = [
    "device /dev/plimsoll/a block special file|7|1|abc|64",
    "listed",
    "version 1.2.3",
    "is ACC-1",
    "try 7:1 opened abc 64",
    "done",
]
_FILES = ["device /dev/plimsoll/a block special file|7|1", "listed", "try 7:1 opened abc 64", "done"]
