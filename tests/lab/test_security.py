"""The secure defaults: each test shows a refused action and a similar action that is allowed."""

from __future__ import annotations

import json
import ssl
import subprocess
import urllib.error
import urllib.request

import pytest

from lab import layout
from lab.control_plane.programs import AUDIT_LOG
from lab.errors import LabError
from lab.images.names import AGNHOST
from lab.kubectl import kubectl
from lab.network import netns
from tests.lab.cluster import Namespace, pod_manifest, until

pytestmark = pytest.mark.lab
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def test_the_restricted_level_refuses_a_privileged_pod_and_takes_a_restricted_one(namespace: Namespace) -> None:
    kubectl("label", "namespace", namespace.name, "pod-security.kubernetes.io/enforce=restricted")
    with pytest.raises(LabError, match="violates PodSecurity"):
        namespace.pod("privileged", container={"securityContext": {"privileged": True}})
    namespace.pod("restricted", container={"securityContext": RESTRICTED})


def test_a_service_account_may_do_what_it_is_granted_and_nothing_else(namespace: Namespace) -> None:
    account = f"system:serviceaccount:{namespace.name}:default"
    ask = ("auth", "can-i", "list", "pods", f"-n{namespace.name}", f"--as={account}")
    with pytest.raises(LabError):
        kubectl(*ask)
    kubectl(
        "create",
        "rolebinding",
        "view",
        "--clusterrole=view",
        f"--serviceaccount={namespace.name}:default",
        f"-n{namespace.name}",
    )
    until(lambda: _says_yes(ask), what="the grant")
    with pytest.raises(LabError):
        kubectl("auth", "can-i", "delete", "pods", f"-n{namespace.name}", f"--as={account}")


def _says_yes(ask: tuple[str, ...]) -> bool:
    try:
        return kubectl(*ask).strip() == "yes"
    except LabError:
        return False


def test_nobody_without_a_certificate_reads_anything(namespace: Namespace) -> None:
    config = json.loads(kubectl("config", "view", "--raw", "--output=json"))
    server = config["clusters"][0]["cluster"]["server"]
    context = ssl.create_default_context(cafile=str(layout.FOLDER / "pki" / "cluster-ca.crt"))
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"{server}/api/v1/namespaces/{namespace.name}/pods", context=context, timeout=10)
    with pytest.raises(urllib.error.URLError, match="certificate verify failed"):
        urllib.request.urlopen(f"{server}/version", timeout=10)


def test_etcd_refuses_a_client_without_a_certificate(namespace: Namespace) -> None:
    ca = str(layout.FOLDER / "pki" / "cluster-ca.crt")
    ask = ["curl", "-sS", "-m", "5", "--cacert", ca, "https://127.0.0.1:2379/health"]
    refused = subprocess.run(netns.in_namespace(layout.NAME, *ask), capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    own = ["--cert", str(layout.FOLDER / "pki" / "etcd.crt"), "--key", str(layout.FOLDER / "pki" / "etcd.key")]
    answered = subprocess.run(netns.in_namespace(layout.NAME, *ask, *own), capture_output=True, text=True, check=False)
    assert '"health":"true"' in answered.stdout


def test_what_was_done_stands_in_the_audit_log_without_secrets(namespace: Namespace) -> None:
    planted = "do-not-log-me-" + namespace.name
    manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "planted"}, "stringData": {"word": planted}}
    namespace.create(manifest)
    entry = until(
        lambda: [line for line in AUDIT_LOG.read_text().splitlines() if namespace.name in line and "planted" in line]
    )
    event = json.loads(entry[0])
    assert event["user"]["username"] == "lab:admin"
    assert planted not in AUDIT_LOG.read_text()


def test_a_kubelet_may_not_touch_another_node(namespace: Namespace) -> None:
    identity = layout.FOLDER / "pki" / "node-1.kubeconfig"
    with pytest.raises(LabError, match=r"(?i)forbidden|is not allowed"):
        kubectl_as(str(identity), "label", "node", "node-2", "stolen=yes", "--overwrite")


def kubectl_as(config: str, *arguments: str) -> str:
    """Runs kubectl as another identity, inside the lab's network, where the identity's server address is reachable."""
    from lab.build.cache import folder_of
    from lab.build.components import BY_NAME
    from lab.commands import run

    program = folder_of(BY_NAME["kubernetes"]) / "kubectl"
    return run(*netns.in_namespace(layout.NAME, program, f"--kubeconfig={config}", *arguments))


def test_an_image_that_no_node_has_is_said_to_be_missing(namespace: Namespace) -> None:
    manifest = pod_manifest(
        "absent", container={"image": "lab.plimsoll.dev/absent:1", "imagePullPolicy": "IfNotPresent"}
    )
    namespace.create(manifest)
    reason = until(
        lambda: (
            namespace.get("pod", "absent")["status"].get("containerStatuses", [{}])[0].get("state", {}).get("waiting")
        )
    )
    assert reason
    assert AGNHOST not in json.dumps(reason)
