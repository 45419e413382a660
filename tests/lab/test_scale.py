"""An API server serves thousands of written objects, behind which nothing runs, like its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lab import scale
from lab.build.cache import folder_of, is_built
from lab.build.components import BY_NAME
from tests.lab.cluster import Namespace

pytestmark = pytest.mark.lab
ROOT = Path(__file__).parents[2]


def kubectl(*arguments: str) -> str:
    program = folder_of(BY_NAME["kubernetes"]) / "kubectl"
    return subprocess.check_output([program, f"--kubeconfig={scale.DOOR.kubeconfig}", *arguments], text=True)


def test_thousands_of_objects_are_listed_changed_and_deleted_and_gone_afterwards(namespace: Namespace) -> None:
    if not is_built(BY_NAME["scale"]):
        pytest.skip("'scale' is not built; 'python -m lab build --tested' builds it")
    command = [sys.executable, "-m", "lab", "scale", "--nodes=200", "--pods=3000", "--namespaces=10"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    pods = json.loads(kubectl("get", "pods", "--all-namespaces", "--output=json"))["items"]
    nodes = {each["metadata"]["name"] for each in json.loads(kubectl("get", "nodes", "--output=json"))["items"]}
    assert (len(pods), len(nodes)) == (3000, 200)
    assert {pod["spec"]["nodeName"] for pod in pods} == nodes
    assert {pod["status"]["phase"] for pod in pods} == {"Running"}
    # The API server validates an object before it stores a change, so this succeeds only for a complete object.
    first = pods[0]["metadata"]
    kubectl("label", "pod", first["name"], f"-n{first['namespace']}", "changed=yes")
    kubectl("delete", "pod", first["name"], f"-n{first['namespace']}", "--grace-period=0", "--force")
    assert len(kubectl("get", "pods", "-A", "--no-headers").splitlines()) == 2999
    subprocess.run([sys.executable, "-m", "lab", "scale", "--off"], cwd=ROOT, check=True, timeout=60)
    assert not scale.is_there()
    assert namespace.get("pods") == [], "the lab's own API server is a different one"
