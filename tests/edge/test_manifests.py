"""A device as a Deployment: what is rendered is taken by a namespace that is restricted, and runs an agent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from plimsoll.cli.main import plimsoll
from plimsoll.edge.tokens import decode_token
from plimsoll.errors import FileError
from plimsoll.kubernetes.api import Api
from plimsoll.kubernetes.memory import MemoryCluster
from plimsoll.kubernetes.memory.controllers import Running, workloads

FILE = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: t}
spec:
  models: {m: {train: {run: python train.py}}}
  services: {a: {model: m, port: 8080, host: 0.0.0.0, auth: none}, b: {model: m}}
  edges: {cabs: {services: [a, b], registry: r.example/x, devices: {site: north}}}
"""


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "plimsoll.yaml").write_text(FILE)
    (tmp_path / "train.py").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


def enroll(*words: str) -> tuple[int, str, str]:
    ended = CliRunner().invoke(plimsoll, ["edge", "enroll", "cabs", *words], standalone_mode=False)
    refused = isinstance(ended.exception, FileError)
    assert ended.exception is None or refused, ended.exception
    return (2, ended.stdout, str(ended.exception)) if refused else (0, ended.stdout, ended.stderr)


@pytest.mark.slow
def test_the_agent_of_a_small_cluster_is_taken_by_a_restricted_namespace_and_runs_once(directory: Path) -> None:
    code, printed, said = enroll("cab-7", "--manifests", "--image", "r.example/agent:1", "--node", "rack-1")
    assert code == 0, said
    assert "b: asked inside the pod alone" in said
    objects = list(yaml.safe_load_all(printed))
    assert [each["kind"] for each in objects] == ["Secret", "PersistentVolumeClaim", "Deployment", "Service"]
    assert decode_token(objects[0]["stringData"]["token"]).device == "cab-7"
    assert objects[3]["spec"]["ports"] == [{"name": "a", "port": 8080, "targetPort": 8080}]
    ran: list[Running] = []

    def program(running: Running) -> None:
        ran.append(running)

    with MemoryCluster() as cluster, pytest.MonkeyPatch.context() as patched:
        patched.setitem(os.environ, "KUBECONFIG", str(cluster.kubeconfig))
        cluster.add_node("rack-1", cpu="2", labels={"kubernetes.io/hostname": "rack-1"})
        cluster.put(
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": "edge", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
            }
        )
        cluster.put(
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "edge"}}
        )
        cluster.run(*workloads(program))
        api = Api(cluster.context)
        for each in objects:
            each["metadata"]["namespace"] = "edge"
            api.apply(each)
        assert cluster.wait_for(lambda: api.list("v1", "Pod", "edge"))
        (pod,) = api.list("v1", "Pod", "edge")
        api.close()
    container = pod["spec"]["containers"][0]
    assert container["args"] == ["--directory", "/state", "--token-file", "/token/token"]
    assert pod["spec"]["automountServiceAccountToken"] is False


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "needs an image"),
        (("--image", "a b"), "needs an image"),
        (("--image", "a", "--namespace", "No"), "is no namespace"),
        (("--image", "a", "--node", "-"), "is no node"),
        (("--image", "a", "--storage", "big"), "is no size of a disk"),
        (("--image", "a", "--storage-class", "a/b"), "is no storage class"),
    ],
)
def test_what_no_cluster_takes_is_refused_before_a_token_is_made(
    directory: Path, words: tuple[str, ...], message: str
) -> None:
    code, printed, said = enroll("cab-7", "--manifests", *words)
    assert (code, printed, message in said) == (2, "", True), said
    assert not (directory / ".plimsoll" / "edge").exists()
