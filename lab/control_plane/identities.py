"""The identities of the cluster's components, and their kubeconfigs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lab import layout, pki
from lab.files import write

FOLDER = layout.FOLDER / "pki"
SERVER = f"https://{layout.CONTROL_PLANE_ADDRESS}:{layout.API_PORT}"
_API_HOSTS = (
    "127.0.0.1",
    "localhost",
    str(layout.CONTROL_PLANE_ADDRESS),
    str(layout.API_SERVICE_ADDRESS),
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    f"kubernetes.default.svc.{layout.CLUSTER_DOMAIN}",
)


@dataclass(frozen=True)
class ControlPlaneIdentities:
    """The certificate authorities, and the identities that they issued for the control plane."""

    cluster: pki.Authority
    front_proxy: pki.Authority
    api_server: pki.Identity
    api_server_as_client: pki.Identity
    aggregator: pki.Identity
    etcd: pki.Identity
    service_accounts: Path


def load() -> ControlPlaneIdentities:
    """Loads all identities of the control plane; creates the missing ones."""
    cluster = pki.Authority(FOLDER, "cluster-ca")
    front_proxy = pki.Authority(FOLDER, "front-proxy-ca")
    return ControlPlaneIdentities(
        cluster=cluster,
        front_proxy=front_proxy,
        api_server=cluster.issue("kube-apiserver", "kube-apiserver", hosts=_API_HOSTS),
        api_server_as_client=cluster.issue("kube-apiserver-client", "kube-apiserver", ("kubeadm:cluster-admins",)),
        aggregator=front_proxy.issue("front-proxy-client", "front-proxy-client"),
        etcd=cluster.issue("etcd", "etcd", hosts=("127.0.0.1", "localhost")),
        service_accounts=pki.service_account_key(FOLDER),
    )


def kubeconfig_for(name: str, common_name: str, groups: tuple[str, ...] = (), server: str = SERVER) -> Path:
    """The kubeconfig of an identity, created on first use."""
    path = FOLDER / f"{name}.kubeconfig"
    cluster = load().cluster
    text = pki.kubeconfig(cluster, cluster.issue(f"{name}-client", common_name, groups), server)
    if not path.exists() or path.read_text() != text:
        write(path, text, mode=0o600)
    return path


def service_identity(name: str, *hosts: str) -> pki.Identity:
    """The identity of a server in the cluster, issued by the cluster's authority."""
    return load().cluster.issue(f"{name}-service", name, hosts=hosts)


def node_identity(name: str, address: str) -> pki.Identity:
    """The identity of a kubelet's own server."""
    return load().cluster.issue(
        f"{name}-server", f"system:node:{name}", ("system:nodes",), (name, address, "127.0.0.1")
    )
