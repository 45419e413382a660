"""The command lines of the control plane. Flags: kubernetes.io/docs/reference/command-line-tools-reference."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from lab import layout
from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from lab.control_plane import identities, storage
from lab.control_plane.identities import ControlPlaneIdentities
from lab.files import write
from lab.machines import Machine, Program

# Native gangs (KEP-4671), which are beta and off by default in 1.37.
_FEATURES = "GenericWorkload=true"
_APIS = "scheduling.k8s.io/v1beta1=true"
_LIGHT_GARBAGE = 30
"""Per cent of the live objects."""
_AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  # Secrets' contents never enter the log, and reading is not what an audit of a lab is after.
  - level: None
    verbs: [get, list, watch]
  - level: Metadata
    resources: [{group: "", resources: [secrets, serviceaccounts/token]}, {group: coordination.k8s.io}]
  - level: Request
"""


@dataclass(frozen=True)
class ApiServerInstance:
    """An API server and its storage: the name of their machine, and their ports in the control plane's network.

    `light` has the objects in SQLite, behind a socket that root alone can open.
    """

    machine: str
    etcd_port: int
    api_port: int
    light: bool = False

    @property
    def folder(self) -> Path:
        """The folder of the machine's files."""
        return layout.machine_folder(self.machine)

    @property
    def health(self) -> str:
        """The URL that answers 200 once the API server is healthy, also to those without a certificate."""
        return f"https://127.0.0.1:{self.api_port}/healthz"

    @property
    def etcd(self) -> str:
        """The URL at which etcd serves its clients."""
        return f"https://127.0.0.1:{self.etcd_port}"

    @property
    def kine(self) -> Path:
        """The socket of kine."""
        return self.folder / "kine.sock"


MAIN_INSTANCE = ApiServerInstance(layout.CONTROL_PLANE, 2379, layout.API_PORT)
AUDIT_LOG = MAIN_INSTANCE.folder / "logs" / "audit.log"


def machine() -> Machine:
    """The machine of the control plane."""
    found = identities.load()
    place = replace(MAIN_INSTANCE, light=storage.is_light())
    return Machine(
        name=layout.CONTROL_PLANE,
        namespace=layout.NAME,
        programs=(
            _kine(place) if place.light else etcd(found, place),
            api_server(found, place),
            _controller_manager(found),
            _scheduler(),
        ),
    )


def _program(component: str, name: str, flags: dict[str, object], needs: str = "") -> Program:
    path = folder_of(BY_NAME[component]) / name
    # Go keeps as much garbage as it has live objects; less costs processor time, which a light lab rather spends.
    thrift = ("/usr/bin/env", f"GOGC={_LIGHT_GARBAGE}") if storage.is_light() else ()
    return Program(name, (*thrift, str(path), *(f"--{flag}={value}" for flag, value in flags.items())), needs)


def etcd(found: ControlPlaneIdentities, place: ApiServerInstance) -> Program:
    """etcd, which refuses clients without a certificate."""
    peer = f"https://127.0.0.1:{place.etcd_port + 1}"
    flags = {
        "name": "lab",
        "data-dir": place.folder / "etcd",
        "listen-client-urls": place.etcd,
        "advertise-client-urls": place.etcd,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"lab={peer}",
        **{"cert-file": found.etcd.certificate, "key-file": found.etcd.key},
        **{"peer-cert-file": found.etcd.certificate, "peer-key-file": found.etcd.key},
        "trusted-ca-file": found.cluster.certificate,
        "peer-trusted-ca-file": found.cluster.certificate,
        "client-cert-auth": "true",
        "peer-client-cert-auth": "true",
        # After a power cut a lab is created again, so its data need not be on disk.
        "unsafe-no-fsync": "true",
        "log-level": "warn",
    }
    return _program("etcd", "etcd", flags)


def _kine(place: ApiServerInstance) -> Program:
    """kine: etcd's protocol over SQLite. Flags: github.com/k3s-io/kine, `kine --help`."""
    # Synchronous writes are off for the reason that etcd's are.
    file = f"sqlite://{place.folder / 'objects.db'}?_journal=WAL&cache=shared&_busy_timeout=30000&_synchronous=OFF"
    flags: dict[str, object] = {"listen-address": f"unix://{place.kine}", "endpoint": file, "metrics-bind-address": "0"}
    return _program("kine", "kine", flags)


def api_server(found: ControlPlaneIdentities, place: ApiServerInstance) -> Program:
    """The API server of the same instance's storage."""
    flags: dict[str, object] = {
        **_storage(found, place),
        "secure-port": place.api_port,
        "advertise-address": layout.CONTROL_PLANE_ADDRESS,
        "service-cluster-ip-range": layout.SERVICES,
        "client-ca-file": found.cluster.certificate,
        "tls-cert-file": found.api_server.certificate,
        "tls-private-key-file": found.api_server.key,
        "kubelet-certificate-authority": found.cluster.certificate,
        "kubelet-client-certificate": found.api_server_as_client.certificate,
        "kubelet-client-key": found.api_server_as_client.key,
        "kubelet-preferred-address-types": "InternalIP,Hostname",
        "service-account-issuer": f"https://kubernetes.default.svc.{layout.CLUSTER_DOMAIN}",
        "service-account-key-file": found.service_accounts,
        "service-account-signing-key-file": found.service_accounts,
        "authorization-mode": "Node,RBAC",
        # The last plugin gives pods that request accelerators a toleration for the elastic nodes' taint, as clouds do.
        "enable-admission-plugins": "NodeRestriction,PodSecurity,ExtendedResourceToleration",
        # The control plane has no kube-proxy, so it calls webhooks and extension servers at their pods' addresses.
        "enable-aggregator-routing": "true",
        **_aggregation(found),
        **({} if place.light else _audit(place)),
        "feature-gates": _FEATURES,
        "runtime-config": _APIS,
        # Drivers need privileged pods. Pod Security admission decides who may create them.
        "allow-privileged": "true",
        "anonymous-auth": "true",
        "profiling": "false",
        # A delay here would lengthen every `down`.
        "shutdown-delay-duration": "0s",
    }
    needs = f"unix:{place.kine}" if place.light else f"tcp:127.0.0.1:{place.etcd_port}"
    return _program("kubernetes", "kube-apiserver", flags, needs)


def _storage(found: ControlPlaneIdentities, place: ApiServerInstance) -> dict[str, object]:
    if place.light:
        return {"etcd-servers": f"unix://{place.kine}"}
    return {
        "etcd-servers": place.etcd,
        "etcd-cafile": found.cluster.certificate,
        "etcd-certfile": found.etcd.certificate,
        "etcd-keyfile": found.etcd.key,
    }


def _audit(place: ApiServerInstance) -> dict[str, object]:
    policy = place.folder / "audit-policy.yaml"
    write(policy, _AUDIT_POLICY)
    return {
        "audit-policy-file": policy,
        "audit-log-path": place.folder / "logs" / "audit.log",
        "audit-log-maxsize": 50,
        "audit-log-maxbackup": 1,
    }


def _aggregation(found: ControlPlaneIdentities) -> dict[str, object]:
    return {
        "requestheader-client-ca-file": found.front_proxy.certificate,
        "requestheader-allowed-names": "front-proxy-client",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-username-headers": "X-Remote-User",
        "proxy-client-cert-file": found.aggregator.certificate,
        "proxy-client-key-file": found.aggregator.key,
    }


def _controller_manager(found: ControlPlaneIdentities) -> Program:
    name = "kube-controller-manager"
    config = identities.kubeconfig_for(name, f"system:{name}")
    flags: dict[str, object] = {
        **_as_client(config),
        "use-service-account-credentials": "true",
        "service-account-private-key-file": found.service_accounts,
        "root-ca-file": found.cluster.certificate,
        "cluster-signing-cert-file": found.cluster.certificate,
        "cluster-signing-key-file": found.cluster.certificate.with_suffix(".key"),
        "service-cluster-ip-range": layout.SERVICES,
        "cluster-cidr": layout.PODS,
        "feature-gates": _FEATURES,
        # Short times, as tests wait until a lost node and a changed load are noticed.
        "node-monitor-grace-period": "16s",
        "horizontal-pod-autoscaler-sync-period": "5s",
        "horizontal-pod-autoscaler-downscale-stabilization": "20s",
    }
    return _program("kubernetes", name, flags, MAIN_INSTANCE.health)


def _scheduler() -> Program:
    config = identities.kubeconfig_for("kube-scheduler", "system:kube-scheduler")
    flags = {**_as_client(config), "feature-gates": _FEATURES}
    return _program("kubernetes", "kube-scheduler", flags, MAIN_INSTANCE.health)


def _as_client(config: Path) -> dict[str, object]:
    return {
        "kubeconfig": config,
        "authentication-kubeconfig": config,
        "authorization-kubeconfig": config,
        "leader-elect": "false",
        "profiling": "false",
    }
