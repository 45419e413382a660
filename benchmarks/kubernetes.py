"""The same file on Kubernetes, in the lab: the same predictions, what it costs beyond its JobSet, chaos, updates.

`python -m benchmarks kubernetes` runs all, with few chaos runs; `python -m benchmarks.kubernetes chaos --chaos 50` runs
fifty of them and nothing else; likewise same, overhead, changed, update, topology, reasons and workers.
"""

from __future__ import annotations

import json
import os
import random
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from benchmarks import kubernetes_reasons, kubernetes_topology, kubernetes_workers
from benchmarks.kubernetes_runs import plimsoll, pods, steps_of, toy
from benchmarks.measuring import PLIMSOLL, ROOT, median, verdict
from lab import layout, lifecycle, machines, nodes, requirements
from lab.kubectl import apply, get, kubectl

ADDONS = ("jobset", "kueue", "gateway", "registry")
PAIRS = 3
CHAOS = 5
SEED = 7
LENGTH = 60
"""Seconds of the training whose overhead is measured."""
RATE = 200
"""Requests a second during an update and the loss of a node."""
CONNECTIONS = 8


def main(arguments: list[str]) -> bool:
    """Print each figure beside its limit."""
    print("kubernetes: the same file on the lab")
    if missing := requirements.missing():
        print(f"  not measured: it needs {'; '.join(missing)}")
        return True
    chaos = int(arguments[arguments.index("--chaos") + 1]) if "--chaos" in arguments else CHAOS
    parts: dict[str, Callable[[Path], bool]] = {
        "same": _same_predictions,
        "overhead": _overhead,
        "changed": _changed,
        "update": _update,
        "topology": lambda directory: kubernetes_topology.measure(directory, ADDONS),
        "reasons": kubernetes_reasons.measure,
        "chaos": lambda directory: _chaos(directory, chaos),
        "workers": kubernetes_workers.measure,
    }
    wanted = [name for name in parts if name in arguments] or list(parts)
    if wanted != ["workers"]:
        # With a third one can be lost that has neither the gateway nor the client.
        lifecycle.up(3, 0, ADDONS, lambda _: None)
    with tempfile.TemporaryDirectory(prefix="plimsoll-bench-") as folder:
        os.environ["XDG_CONFIG_HOME"] = folder
        kept = [parts[name](Path(folder) / name) for name in wanted]
    return all(kept)


def _same_predictions(directory: Path) -> bool:
    from pyarrow import parquet

    ignored = shutil.ignore_patterns(".plimsoll")
    shutil.copytree(ROOT / "examples" / "maintenance", directory, ignore=ignored)
    for target in ("local", "lab"):
        plimsoll(directory, "run", "--target", target)
    latest = Path("latest", "score", "backlog", "predictions.parquet")
    here = parquet.read_table(directory / ".plimsoll" / latest)
    there = parquet.read_table(directory / ".plimsoll" / "targets" / "lab" / latest)
    differences = [
        abs(a - b)
        for name in here.column_names
        for a, b in zip(here[name].to_pylist(), there[name].to_pylist(), strict=True)
        if isinstance(a, float)
    ]
    plimsoll(directory, "down", "--target", "lab")
    print(f"  {here.num_rows} rows, {len(differences)} numbers")
    return verdict("largest difference between predictions here and there", max(differences), 1e-6, "")


def _overhead(directory: Path) -> bool:
    ours, bare = [], []
    for number in range(PAIRS):
        place = toy(directory / str(number), LENGTH)
        found = steps_of(plimsoll(place, "run", "--target", "lab", "--json"))
        ours.append(found["train/toy"]["seconds"])
        bare.append(_by_hand())
        print(f"    {ours[-1]:.2f} s through plimsoll, {bare[-1]:.2f} s by hand", flush=True)
        plimsoll(place, "down", "--target", "lab")
    more = median([a - b for a, b in zip(ours, bare, strict=True)])
    print(f"  training of {LENGTH} s: {median(ours):.1f} s through plimsoll, {median(bare):.1f} s by hand")
    kept = verdict("more than the same JobSet by hand", more, 3, "s")
    return verdict("of its time by hand", 100 * more / median(bare), 5, "%") and kept


def _by_hand() -> float:
    """The JobSet that a run has left, applied by kubectl under another name and key, from apply to Completed.

    Its image is in the registry already, it goes through the same queue, and its pods do the same task again.
    """
    (found,) = get("jobset", namespace="toy")
    metadata = {name: found["metadata"][name] for name in ("name", "namespace", "labels")}
    spec = {**found["spec"], "suspend": True}
    for marks in spec["replicatedJobs"][0]["template"]["spec"]["template"]["metadata"].values():
        # What Kueue wrote when it admitted the first: by these it would take the second for the same.
        for mark in [each for each in marks if each.startswith("kueue.x-k8s.io/")]:
            del marks[mark]
    text = json.dumps({"apiVersion": found["apiVersion"], "kind": "JobSet", "metadata": metadata, "spec": spec})
    fresh, limit = secrets.token_hex(32), LENGTH + 100
    name = f"by-hand-{fresh[:8]}"
    (key,) = set(re.findall(r"checkpoint-([0-9a-f]{64})", text))
    manifest = text.replace(key, fresh).replace(key[:16], fresh[:16]).replace(metadata["name"], name)
    began = time.perf_counter()
    apply(manifest)
    kubectl("wait", f"jobset/{name}", "-ntoy", "--for=condition=Completed", f"--timeout={limit}s", limit=limit + 10)
    return time.perf_counter() - began


def _changed(directory: Path) -> bool:
    place = toy(directory, 2)
    plimsoll(place, "run", "--target", "lab")
    took = []
    for number in range(PAIRS):
        (place / "train.py").write_text((place / "train.py").read_text() + f"# {number}\n")
        known = set(pods())
        began = time.perf_counter()
        running = subprocess.Popen([*PLIMSOLL, "run", "--target", "lab"], cwd=place, stdout=subprocess.DEVNULL)
        while not any(phase == "Running" for name, phase in pods().items() if name not in known):
            time.sleep(0.1)
        took.append(time.perf_counter() - began)
        running.wait()
    plimsoll(place, "down", "--target", "lab")
    return verdict("from a changed script to a running pod", median(took), 15, "s")


def _update(directory: Path) -> bool:
    """A new version of a service under load from another pod, at the gateway."""
    place = toy(directory, 1)
    plimsoll(place, "run", "--target", "lab")
    load = _Load(_gateway())
    (place / "train.py").write_text((place / "train.py").read_text() + "# another\n")
    plimsoll(place, "run", "--target", "lab")
    answers = load.stop()
    failed = [answer for answer in answers if answer.status != "200"]
    print(f"  {len(answers)} answers during the update, {_per_second(answers):.0f} a second")
    began = min(each.at for each in answers)
    for (status, at), count in sorted(Counter((each.status, each.at - began) for each in failed).items()):
        print(f"    {count} times {status} in second {at}")
    kept = verdict("failed requests during a rolling update", len(failed), 0, "")
    return _node_loss(place) and kept


def _node_loss(place: Path) -> bool:
    """The node of a server goes from one moment to the next."""
    gateways = {each["spec"]["nodeName"] for each in get("pods", namespace="envoy-gateway-system")}
    servers = {
        each["spec"]["nodeName"]
        for each in get("pods", namespace="toy")
        if "plimsoll.dev/service" in each["metadata"]["labels"]
    }
    victim = next(iter(sorted(servers - gateways)), None)
    if victim is None:
        print(f"  node loss: not measured, every server's node ({', '.join(servers)}) has the gateway too")
        return False
    elsewhere = next(each.name for each in nodes.all_nodes() if each.name != victim)
    load = _Load(_gateway(), node=elsewhere)
    nodes.kill(nodes.named(victim))
    time.sleep(30)
    answers = load.stop()
    nodes.start(nodes.named(victim))
    plimsoll(place, "down", "--target", "lab")
    failed = [answer for answer in answers if answer.status != "200"]
    length = max(each.at for each in failed) - min(each.at for each in failed) + 1 if failed else 0
    print(f"  {len(answers)} answers, {len(failed)} of them errors: {Counter(each.status for each in failed)}")
    # Of what is asked in the ten seconds after the loss.
    part = 100 * len(failed) / (10 * _per_second(answers))
    kept = verdict("errors by the loss of a node, of ten seconds' requests", part, 1, "%")
    return verdict("from the first error to the last", length, 10, "s") and kept


def _gateway() -> str:
    (found,) = get("gateway", namespace="toy")
    return f"{found['status']['addresses'][0]['value']}/toy"


class Answer(Struct, frozen=True):
    """A request's status, "000" without any, and when it was answered, in seconds."""

    status: str
    at: int


def _per_second(answers: list[Answer]) -> float:
    return len(answers) / (max(each.at for each in answers) - min(each.at for each in answers) + 1)


class _Load:
    """Requests from inside the cluster, one after the other on several connections, until it is stopped."""

    def __init__(self, host: str, node: str = "") -> None:
        body = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]})
        # One program asks fifty times on one connection; `date` stands at each answer's side.
        ask = (
            f"while [ ! -e /tmp/stop ]; do curl -s -o /dev/null -m 10 -w '%{{http_code}}\\n' -d '{body}' "
            f"--rate {RATE // CONNECTIONS}/s 'http://{host}/v2/models/toy/infer?[1-50]' "
            "| while read code; do echo $code $(date +%s); done; done"
        )
        script = " ".join([f"({ask}) &" for _ in range(CONNECTIONS)]) + " wait"
        container = {
            "name": "main",
            "image": "registry.k8s.io/e2e-test-images/agnhost:2.59",
            "command": ["sh", "-c", script],
        }
        spec = {"restartPolicy": "Never", "containers": [container], **({"nodeName": node} if node else {})}
        apply(
            json.dumps(
                {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "load", "namespace": "default"}, "spec": spec}
            )
        )
        kubectl("wait", "pod/load", "-ndefault", "--for=condition=Ready", "--timeout=60s", limit=70)
        time.sleep(5)

    def stop(self) -> list[Answer]:
        time.sleep(3)
        kubectl("exec", "load", "-ndefault", "--", "touch", "/tmp/stop")
        kubectl("wait", "pod/load", "-ndefault", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s", limit=70)
        lines = [line.split() for line in kubectl("logs", "load", "-ndefault").splitlines()]
        kubectl("delete", "pod", "load", "-ndefault", "--grace-period=0", "--force")
        return [Answer(status, int(at)) for status, at in lines]


def _chaos(directory: Path, runs: int) -> bool:
    """Kill something at a random moment of each run; then carry the run to its end and compare."""
    chance = random.Random(SEED)
    finished = 0
    for number in range(runs):
        place = toy(directory / str(number), 12)
        running = subprocess.Popen(
            [*PLIMSOLL, "run", "--target", "lab"], cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(chance.uniform(3, 18))
        victim = chance.choice(list(VICTIMS))
        mend = VICTIMS[victim](running)
        threading.Timer(8, mend).start()
        running.wait()
        end = subprocess.run(
            [*PLIMSOLL, "run", "--target", "lab", "--json"], cwd=place, capture_output=True, check=False
        )
        plimsoll(place, "down", "--target", "lab", fine=False)
        left = kubectl(
            "get", "pods,jobsets,deployments,services,configmaps", "-A", "-lplimsoll.dev/application=toy", "-oname"
        )
        good = end.returncode == 0 and not left.split()
        finished += good
        words = "finished" if good else f"NOT finished: {end.stdout.decode()[-300:]} {left}"
        print(f"    {number + 1}: {victim}: {words}", flush=True)
    return verdict("chaos runs that finished and left nothing", finished, runs, "", at_least=True)


def _kill_pod(_: subprocess.Popen[bytes]) -> Callable[[], None]:
    names = list(pods())
    if names:
        kubectl("delete", "pod", names[0], "-ntoy", "--grace-period=0", "--force", "--ignore-not-found")
    return lambda: None


def _kill_node(_: subprocess.Popen[bytes]) -> Callable[[], None]:
    node = nodes.named("node-2")
    nodes.kill(node)
    return lambda: nodes.start(node)


def _kill_api(_: subprocess.Popen[bytes]) -> Callable[[], None]:
    machines.signal_program(layout.CONTROL_PLANE, "kube-apiserver")
    return lambda: None


def _kill_plimsoll(running: subprocess.Popen[bytes]) -> Callable[[], None]:
    running.send_signal(signal.SIGKILL)
    return lambda: None


VICTIMS = {"pod": _kill_pod, "node": _kill_node, "API server": _kill_api, "plimsoll": _kill_plimsoll}


if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1:]) else 1)
