"""Pods whose containers are real processes of this machine: what a node would run, in a directory instead of an image."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from plimsoll.kubernetes.memory.controllers import Ended
from plimsoll.runtime.pod_task import TASK_VARIABLE, WORK
from plimsoll.targets.kubernetes.manifests.models import TRUST, trust_name
from tests.targets.kubernetes.bench import APPLICATION, Bench, Pod

MAIN = """
import sys
from plimsoll.runtime.pod import __main__ as pod, store
pod.WORK = store.WORK = sys.argv[1]
pod.main()
"""


def on_a_node() -> dict[str, str]:
    """The variables of a container: without those by which a test spares itself the system's authorities."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SSL_CERT")}


def brought(bench: Bench, spec: dict[str, Any], place: Path) -> str:
    """Run the init containers of a pod; gives what the first that fails says, empty when none does."""
    trust = bench.find("ConfigMap", trust_name(APPLICATION))
    assert trust is not None
    (place / "trust").mkdir(parents=True, exist_ok=True)
    for name, key in trust["data"].items():
        (place / "trust" / name).write_text(key)
    for each in spec.get("initContainers", []):
        ended = _run(each["command"], place)
        if ended.returncode:
            return ended.stderr.strip()
    return ""


def carried_out(bench: Bench, pod: Pod, place: Path) -> Ended | None:
    """Run the init containers and then the container of a pod with a task."""
    (place / "work").mkdir(parents=True, exist_ok=True)
    if problem := brought(bench, pod.running.pod["spec"], place):
        return Ended(code=1, message=problem)
    environment = {**on_a_node(), TASK_VARIABLE: pod.task.encoded()}
    command = [sys.executable, "-c", MAIN, str(place / "work")]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    pod.print(ended.stdout)
    if ended.returncode:
        return Ended(code=ended.returncode, message=ended.stderr.strip())
    return None


def _run(command: Sequence[str], place: Path) -> subprocess.CompletedProcess[str]:
    moved = [word.replace(TRUST, str(place / "trust")).replace(WORK, str(place / "work")) for word in command]
    argv = [sys.executable if word == "python" else word for word in moved]
    return subprocess.run(argv, env=on_a_node(), capture_output=True, text=True, timeout=120, check=False)
