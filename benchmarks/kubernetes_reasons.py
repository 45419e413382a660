"""From a cause on the cluster to the sentence that tells it: nine causes, each made for real, by the clock.

The cause counts from where the cluster has it: the Job that gets no pod, the container that waits for its image, the
eviction, the container that was killed, the deadline, the end of the work beside a container that goes on. It is told
when `plimsoll run` prints a line that names it.
"""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from benchmarks.measuring import PLIMSOLL, verdict
from plimsoll.kubernetes.api import Api

Manifest = dict[str, Any]
LIMIT = 10
"""Seconds from a cause to its sentence."""
LONGEST = 90.0
MARK = "plimsoll-benchmark-reasons"
FILE = """
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: NAME}
spec:
  datasets:
    d: {run: python make.py, outputs: [x.txt], resources: {cpu: 0.1MEMORY}TIMEOUT}
"""
SLEEP = "import time; print('begun', flush=True); time.sleep(80)\n"
EAT = "import time\ntime.sleep(3)\nheld = [bytearray(b'x' * (8 << 20)) for _ in range(64)]\n"
END = "import os; open(os.environ['PLIMSOLL_OUTPUT'] + '/x.txt', 'w').write('x')\n"


class Case(Struct, frozen=True, kw_only=True):
    """A cause: what is there before the run, what is done during it, when it began, and how its sentence reads."""

    name: str
    told: str
    began: Callable[[Api, str], float | None]
    before: Callable[[Api, str], None] | None = None
    change: str = ""
    """A CEL expression of patches to every pod of the namespace, by an admission policy."""
    refusal: str = ""
    """The message of an admission policy that refuses every pod of the namespace."""
    script: str = SLEEP
    memory: str = ""
    timeout: str = ""
    act: Callable[[Api, str], float | None] | None = None


def measure(directory: Path, wanted: tuple[str, ...] = ()) -> bool:
    """Print the seconds of each cause beside the limit."""
    api = Api("lab")
    kept = True
    for case in CASES:
        if not wanted or case.name.split()[-1].lower() in wanted:
            seconds, sentence = _measured(api, case, directory)
            print(f"    {sentence}", flush=True)
            kept = verdict(f"told after {case.name}", seconds, LIMIT, "s") and kept
    api.close()
    return kept


def _measured(api: Api, case: Case, directory: Path) -> tuple[float, str]:
    name = f"reason-{case.name.split()[-1].lower()}"
    place = directory / name
    place.mkdir(parents=True)
    memory = f", memory: {case.memory}" if case.memory else ""
    timeout = f", timeout: {case.timeout}" if case.timeout else ""
    text = FILE.replace("NAME", name).replace("MEMORY", memory).replace("TIMEOUT", timeout)
    (place / "plimsoll.yaml").write_text(text)
    (place / "make.py").write_text(case.script)
    with _namespace(api, name), _policy(api, name, case):
        if case.before is not None:
            case.before(api, name)
        return _told(api, case, name, place)


def _told(api: Api, case: Case, namespace: str, place: Path) -> tuple[float, str]:
    """Seconds from the cause to the line that tells it, and the line."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    command = [*PLIMSOLL, "run", "--target", "lab"]
    run = subprocess.Popen(
        command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    lines: list[tuple[float, str]] = []

    def read() -> None:
        for line in run.stdout or ():
            lines.append((time.time(), line.strip()))

    threading.Thread(target=read, daemon=True).start()
    end, began = time.time() + LONGEST, None
    try:
        while time.time() < end:
            began = began or (case.act or case.began)(api, namespace)
            found = next(((at, line) for at, line in lines if re.search(case.told, line)), None)
            if found and began:
                # Kubernetes writes times to the second, rounded down.
                return max(0.0, found[0] - began), found[1]
            if run.poll() is not None and not found:
                break
            time.sleep(0.1)
    finally:
        run.terminate()
        run.wait(60)
    return float("inf"), f"never told: {[line for _, line in lines][-3:]}"


@contextmanager
def _namespace(api: Api, name: str) -> Iterator[None]:
    labels = {MARK: name}
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    try:
        yield
    finally:
        api.delete("v1", "Namespace", name)


@contextmanager
def _policy(api: Api, name: str, case: Case) -> Iterator[None]:
    """An admission policy for the pods of one namespace, where a case has one."""
    if not (case.change or case.refusal):
        yield
        return
    kind = "MutatingAdmissionPolicy" if case.change else "ValidatingAdmissionPolicy"
    group = "admissionregistration.k8s.io/v1"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    spec: Manifest = {
        "matchConstraints": {"namespaceSelector": {"matchLabels": {MARK: name}}, "resourceRules": [rule]},
        "failurePolicy": "Fail",
    }
    binding: Manifest = {"policyName": name}
    if case.change:
        patch = {"patchType": "JSONPatch", "jsonPatch": {"expression": case.change}}
        spec |= {"reinvocationPolicy": "Never", "mutations": [patch]}
    else:
        spec["validations"] = [{"expression": "false", "message": case.refusal}]
        binding["validationActions"] = ["Deny"]
    api.create({"apiVersion": group, "kind": kind, "metadata": {"name": name}, "spec": spec})
    api.create({"apiVersion": group, "kind": f"{kind}Binding", "metadata": {"name": name}, "spec": binding})
    # No API says when the server follows a policy.
    time.sleep(4)
    try:
        yield
    finally:
        api.delete(group, f"{kind}Binding", name)
        api.delete(group, kind, name)


def _bound(kind: str, spec: Manifest) -> Callable[[Api, str], None]:
    def make(api: Api, namespace: str) -> None:
        api.create(
            {"apiVersion": "v1", "kind": kind, "metadata": {"name": "few", "namespace": namespace}, "spec": spec}
        )
        time.sleep(2)

    return make


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _job_made(api: Api, namespace: str) -> float | None:
    found = api.list("batch/v1", "Job", namespace)
    return _moment(found[0]["metadata"]["creationTimestamp"]) if found else None


def _unpulled(api: Api, namespace: str) -> float | None:
    """When the kubelet first failed to pull an image."""
    found = [each for each in api.list("v1", "Event", namespace) if "Failed to pull" in each.get("message", "")]
    return _moment(found[0]["firstTimestamp"]) if found else None


def _unplaced(api: Api, namespace: str) -> float | None:
    for pod in api.list("v1", "Pod", namespace):
        for each in pod["status"].get("conditions", []):
            if each["type"] == "PodScheduled" and each["status"] == "False":
                return _moment(each["lastTransitionTime"])
    return None


def _main_ended(api: Api, namespace: str) -> float | None:
    for pod in api.list("v1", "Pod", namespace):
        for each in pod["status"].get("containerStatuses", []):
            if each["name"] == "main" and (ended := each["state"].get("terminated")):
                return _moment(ended["finishedAt"])
    return None


def _deadline(api: Api, namespace: str) -> float | None:
    found = api.list("batch/v1", "Job", namespace)
    started = found[0].get("status", {}).get("startTime") if found else None
    return _moment(started) + 5 if started else None


def _evict(api: Api, namespace: str) -> float | None:
    """Evict the first pod that runs; gives when."""
    for pod in api.list("v1", "Pod", namespace):
        if pod["status"].get("phase") == "Running" and not pod["metadata"].get("deletionTimestamp"):
            name = pod["metadata"]["name"]
            body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": namespace}}
            time.sleep(2)
            at = time.time()
            api.request("POST", f"/api/v1/namespaces/{namespace}/pods/{name}/eviction", body=body)
            return at
    return None


SIDECAR = (
    '[JSONPatch{op: "add", path: "/spec/containers/-", value: Object.spec.containers{name: "proxy", '
    "image: object.spec.containers[0].image, command: ['python', '-c', 'import time; time.sleep(300)'], "
    "securityContext: Object.spec.containers.securityContext{allowPrivilegeEscalation: false, capabilities: "
    'Object.spec.containers.securityContext.capabilities{drop: ["ALL"]}}}}]'
)
NOWHERE = '[JSONPatch{op: "add", path: "/spec/nodeSelector", value: {"plimsoll.dev/benchmark": "tainted"}}]'
UNKNOWN = '[JSONPatch{op: "replace", path: "/spec/containers/0/image", value: "registry.invalid/none:1"}]'


def _tainted_node(api: Api, namespace: str) -> None:
    """A node without a machine, which is in the way of nobody: a taint keeps every pod off."""
    metadata: Manifest = {"name": namespace, "labels": {"plimsoll.dev/benchmark": "tainted", MARK: namespace}}
    taint = {"key": "plimsoll.dev/benchmark", "value": "kept", "effect": "NoSchedule"}
    owner = api.get("v1", "Namespace", namespace)["metadata"]
    reference = {"apiVersion": "v1", "kind": "Namespace", "name": namespace, "uid": owner["uid"]}
    # It goes with the namespace.
    metadata["ownerReferences"] = [reference]
    api.create({"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": {"taints": [taint]}})


CASES = (
    Case(
        name="a quota", told="the quota .few.", began=_job_made, before=_bound("ResourceQuota", {"hard": {"pods": "0"}})
    ),
    Case(
        name="a LimitRange",
        told="a LimitRange of namespace",
        began=_job_made,
        before=_bound(
            "LimitRange", {"limits": [{"type": "Container", "max": {"cpu": "10m"}, "default": {"cpu": "5m"}}]}
        ),
    ),
    Case(name="a policy", told="denied pods of the Job", began=_job_made, refusal="no team label"),
    Case(name="an image", told="the image registry.invalid/none:1 cannot", began=_unpulled, change=UNKNOWN),
    Case(
        name="a taint",
        told="the taint .*plimsoll.dev/benchmark",
        began=_unplaced,
        change=NOWHERE,
        before=_tainted_node,
    ),
    Case(name="an eviction", told="evicted by the eviction API", began=_job_made, act=_evict),
    Case(name="memory", told="used more than its memory", began=_main_ended, script=EAT, memory="64Mi"),
    Case(name="a deadline", told="time limit of 5 s", began=_deadline, timeout="5s"),
    Case(name="a sidecar", told="the container proxy goes on", began=_main_ended, change=SIDECAR, script=END),
)
