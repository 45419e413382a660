"""The command line reaches the cluster in memory as any other target."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from plimsoll.kubernetes.memory import MemoryCluster
from plimsoll.state.directory import StateDirectory
from tests.kubernetes.asking import deployment

FILE = """
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: tiny}
spec:
  datasets:
    numbers: {run: python make.py, outputs: [numbers.csv], resources: {cpu: 6}}
"""


class Nothing(BaseHTTPRequestHandler):
    """A registry in which nothing is."""

    def do_GET(self) -> None:
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET  # noqa: N815  # the name that http.server calls

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def registry() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Nothing) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"127.0.0.1:{server.server_port}/tests"
        server.shutdown()


@pytest.fixture(autouse=True)
def application(tmp_path: Path) -> None:
    (tmp_path / "plimsoll.yaml").write_text(FILE)
    (tmp_path / "make.py").write_text("")


def plimsoll(cluster: MemoryCluster, directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig), "XDG_CONFIG_HOME": str(directory / "config")}
    command = [sys.executable, "-m", "plimsoll", *arguments, "--target", cluster.context]
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=55, check=False
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done


@pytest.mark.slow
def test_a_plan_that_no_node_can_carry_is_refused(cluster: MemoryCluster, tmp_path: Path, registry: str) -> None:
    cluster.add_node("node-1", cpu="4")
    done = plimsoll(cluster, tmp_path, "plan", "--registry", registry)
    assert done.returncode != 0
    assert "cpu" in done.stderr


def test_down_removes_an_application_and_nothing_else(cluster: MemoryCluster, tmp_path: Path) -> None:
    StateDirectory(tmp_path, cluster.context).make()
    for name in ("tiny", "other"):
        labels = {"plimsoll.dev/application": name, "app.kubernetes.io/managed-by": "plimsoll"}
        made = deployment(name)
        made["metadata"] |= {"namespace": "tiny", "labels": labels}
        cluster.put(made)
    done = plimsoll(cluster, tmp_path, "down")
    assert done.returncode == 0, done.stdout + done.stderr
    assert cluster.find("apps/v1", "Deployment", "tiny", "tiny") is None
    assert cluster.find("apps/v1", "Deployment", "other", "tiny") is not None


@pytest.mark.slow
def test_a_right_that_is_lacking_is_named(cluster: MemoryCluster, tmp_path: Path) -> None:
    StateDirectory(tmp_path, cluster.context).make()
    cluster.deny(verb="list", resource="deployments")
    done = plimsoll(cluster, tmp_path, "down")
    assert done.returncode != 0
    assert 'cannot list resource "deployments"' in done.stderr


def test_an_inventory_tells_what_the_cluster_has_and_makes_nothing(cluster: MemoryCluster, tmp_path: Path) -> None:
    cluster.add_node("node-1", extended={"nvidia.com/gpu": 2})
    cluster.deny(verb="list", resource="deployments")
    done = plimsoll(cluster, tmp_path, "check", "--read-only")
    assert "2 on node-1 by nvidia.com/gpu" in done.stdout, done
    assert "not readable  deployments" in done.stdout
    made = [each for each in cluster.seen() if each.method != "GET" and "selfsubjectaccessreviews" not in each.path]
    assert made == []
