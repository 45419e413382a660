"""A gang of thousands of workers: what planning, rendering and watching it take, without a machine behind them.

The cluster is an API server in memory with as many nodes as workers, each with the images that a node has. A thread in
the place of its controllers makes the gang's pods run; the registry is a real one.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.measuring import PLIMSOLL, verdict
from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from plimsoll.evidence.journal import read_journal
from plimsoll.evidence.run_events import WorkerStarted, event_of
from plimsoll.kubernetes.memory import MemoryCluster
from plimsoll.state.directory import StateDirectory

WORKERS = 4096
SECONDS, MEMORY = 10.0, 200.0
"""The limits: seconds of a command's processor time or of a wait, and MB that its process may have at most."""
PATIENCE = 180.0
FILE = """
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: large}
spec:
  models:
    large:
      train: {run: python train.py, framework: torch, workers: WORKERS, resources: {cpu: 1}}
"""
_REGISTRY = """
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {inmemory: {}}
http: {addr: "127.0.0.1:PORT"}
"""
Manifest = dict[str, Any]


def measure(directory: Path) -> bool:
    """Print each figure beside its limit."""
    directory.mkdir()
    (directory / "plimsoll.yaml").write_text(FILE.replace("WORKERS", str(WORKERS)))
    (directory / "train.py").write_text("")
    base = directory / "base"
    base.mkdir()
    registry, port = _registry(directory)
    try:
        with MemoryCluster() as cluster:
            os.environ["KUBECONFIG"] = str(cluster.kubeconfig)
            for number in range(WORKERS):
                cluster.put(_with_images(cluster.add_node(f"node-{number}", cpu="2")))
            options = ["--target", cluster.context, "--registry", f"127.0.0.1:{port}/bench", "--base", f"rootfs:{base}"]
            kept = _measured(f"plan of {WORKERS} workers", ["plan", *options], directory)
            return _watched(cluster, options, directory) and kept
    finally:
        registry.kill()
        registry.wait()


def _measured(what: str, words: list[str], directory: Path) -> bool:
    """Seconds and memory of a command."""
    process = subprocess.Popen([*PLIMSOLL, *words], cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    began = time.perf_counter()
    status, usage = _waited(process)
    took = time.perf_counter() - began
    if status != 0:
        assert process.stderr is not None
        sys.exit(f"plimsoll {words[0]} ended with {status}: {process.stderr.read().decode()[-2000:]}")
    print(f"  {what}: {took:.1f} s on the clock")
    kept = verdict(f"processor time of {words[0]}", usage.ru_utime + usage.ru_stime, SECONDS, "s")
    return verdict(f"memory of {words[0]}", usage.ru_maxrss / 1024, MEMORY, "MB") and kept


def _watched(cluster: MemoryCluster, options: list[str], directory: Path) -> bool:
    """A run until it has seen every worker, then some looks more, and Ctrl-C."""
    controllers = threading.Thread(target=_make_pods, args=(cluster,), daemon=True)
    controllers.start()
    words = [*PLIMSOLL, "run", *options]
    running = subprocess.Popen(words, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    controllers.join(PATIENCE)
    began = time.perf_counter()
    state = StateDirectory(directory, cluster.context)
    seen = 0
    while seen < WORKERS and time.perf_counter() - began < PATIENCE and running.poll() is None:
        time.sleep(0.2)
        seen = _seen(state)
    kept = verdict(f"until a run has told of {seen} workers that run", time.perf_counter() - began, SECONDS, "s")
    kept &= _measured("status of the run meanwhile", ["status", "--target", cluster.context], directory)
    before = len(cluster.seen())
    time.sleep(10)
    asked = sum(each.path.endswith("/pods") for each in cluster.seen()[before:])
    print(f"  {asked / 10:.1f} pages of 500 pods are asked for each second")
    running.send_signal(signal.SIGINT)
    began = time.perf_counter()
    _, usage = _waited(running)
    kept &= verdict("from Ctrl-C to the end of the run", time.perf_counter() - began, SECONDS, "s")
    kept &= verdict("processor time of the run, all of its looks", usage.ru_utime + usage.ru_stime, SECONDS, "s")
    return verdict("memory of the run", usage.ru_maxrss / 1024, MEMORY, "MB") and kept and seen == WORKERS


def _make_pods(cluster: MemoryCluster) -> None:
    """What the Job controller, the scheduler and the kubelets do with a Job of the gang, at once."""
    while not (jobs := cluster.list("batch/v1", "Job", "large")):
        time.sleep(0.05)
    (job,) = jobs
    template, name = job["spec"]["template"], job["metadata"]["name"]
    for rank in range(WORKERS):
        annotations = {"batch.kubernetes.io/job-completion-index": str(rank)}
        metadata = {
            "name": f"{name}-{rank}-xxxxx",
            "namespace": "large",
            "labels": template["metadata"]["labels"],
            "annotations": annotations,
        }
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        container = {"name": "main", "ready": True, "restartCount": 0, "state": {"running": {}}, "image": "x" * 120}
        status = {"phase": "Running", "conditions": [ready] * 5, "containerStatuses": [container], "podIP": "10.0.0.1"}
        spec = {**template["spec"], "nodeName": f"node-{rank}"}
        cluster.put({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status})


def _seen(state: StateDirectory) -> int:
    runs = state.run_ids()
    if not runs:
        return 0
    return sum(isinstance(event_of(each), WorkerStarted) for each in read_journal(state.journal(runs[-1])))


def _with_images(node: Manifest) -> Manifest:
    image = {"names": [f"registry.example/team/image@sha256:{64 * 'a'}", "registry.example/team/image:1"]}
    node["status"]["images"] = [{**image, "sizeBytes": 1000}] * 50
    return node


def _waited(process: subprocess.Popen[bytes]) -> tuple[int, resource.struct_rusage]:
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage


def _registry(directory: Path) -> tuple[subprocess.Popen[bytes], int]:
    built = folder_of(BY_NAME["registry"]) / "registry"
    program = str(built) if built.exists() else shutil.which("docker-registry")
    if program is None:
        sys.exit("it needs a registry: python -m lab.build registry, or apt-get install docker-registry")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = int(taken.getsockname()[1])
    settings = directory / "registry.yaml"
    settings.write_text(_REGISTRY.replace("PORT", str(port)))
    process = subprocess.Popen([program, "serve", str(settings)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                sys.exit("the registry does not listen")
            time.sleep(0.05)
        else:
            return process, port
