"""The machine of a node: its programs, their configuration, and the folders that only this node sees."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from lab import layout
from lab.accelerators import devices
from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from lab.control_plane import identities
from lab.errors import LabError
from lab.files import write
from lab.images.names import PAUSE, REGISTRY_HOST
from lab.layout import Node
from lab.machines import Machine, Program

# Host paths of which each node has its own version, kept under the node's folder.
_CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
_DISK = (
    "/var/lib/kubelet",
    "/var/lib/containerd",
    "/var/lib/cni",
    "/var/log/pods",
    "/var/log/containers",
    "/etc/cni/net.d",
    "/etc/containerd",
    "/opt/cni",
)
_CHARACTER_DEVICES = {
    **{"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "kmsg": (1, 11)},
    **{"tty": (5, 0), "net/tun": (10, 200), "fuse": (10, 229)},
}
_DEVICE_MODE = 0o666


def machine(node: Node, labels: dict[str, str], taints: tuple[str, ...] = ()) -> Machine:
    """Writes the node's configuration and returns the node's machine."""
    disk = node.folder / "disk"
    for path in _DISK:
        (disk / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
        Path(path).mkdir(parents=True, exist_ok=True)
    (disk / "run/cdi").mkdir(parents=True, exist_ok=True)
    files = {
        disk / "etc/cni/net.d/10-lab.conflist": json.dumps(_cni(node), indent=1),
        disk / "etc/containerd/config.toml": _containerd(),
        disk / "etc/containerd/certs.d" / REGISTRY_HOST / "hosts.toml": _registry(),
        disk / "etc/containerd/runsc.toml": _sandbox(),
        node.folder / "resolv.conf": "# The lab has no network outside.\n",
        node.folder / "kubelet.json": json.dumps(_kubelet_configuration(node), indent=1),
        node.folder / "kube-proxy.json": json.dumps(_proxy_configuration(node), indent=1),
    }
    for file, text in files.items():
        write(file, text)
    return Machine(
        name=node.name,
        namespace=node.namespace,
        programs=(_containerd_program(), _kubelet(node, labels, taints), _kube_proxy(node), _network_policy(node)),
        mounts=(*_system_mounts(), *_disk_mounts(disk), *_accelerator_mounts(node)),
        devices=(*_devices(), *(devices.ensure(node) if node.accelerated else ())),
        links={"/dev/ptmx": "pts/ptmx", "/dev/fd": "/proc/self/fd", "/dev/stdout": "/proc/self/fd/1"},
        revision=hashlib.sha256("\0".join(files.values()).encode()).hexdigest()[:16],
    )


def _system_mounts() -> tuple[dict[str, str], ...]:
    cgroups = f"{layout.FOLDER}/cgroup"
    return (
        # sysfs shows the network of the process that mounts it. The cgroups below it are mounted again afterwards.
        {"source": "/sys/fs/cgroup", "target": cgroups, "type": "bind"},
        {"source": "sysfs", "target": "/sys", "type": "sysfs"},
        {"source": cgroups, "target": "/sys/fs/cgroup", "type": "bind"},
        {"source": "run", "target": "/run", "type": "tmpfs", "data": "mode=755"},
        {"source": "dev", "target": "/dev", "type": "tmpfs", "data": "mode=755,size=1m"},
        {"source": "devpts", "target": "/dev/pts", "type": "devpts", "data": "newinstance,ptmxmode=0666,mode=620"},
        {"source": "shm", "target": "/dev/shm", "type": "tmpfs", "data": "mode=1777,size=64m"},
        {"source": "mqueue", "target": "/dev/mqueue", "type": "mqueue"},
    )


def _disk_mounts(disk: Path) -> tuple[dict[str, str], ...]:
    # /run is empty after a start, but the kubelet's records on the disk call claims prepared. So /run/cdi is kept too.
    own = (*_DISK, "/run/cdi")
    return tuple({"source": str(disk / path.lstrip("/")), "target": path, "type": "bind"} for path in own)


def _accelerator_mounts(node: Node) -> tuple[dict[str, str], ...]:
    if not node.accelerated:
        return ()
    Path("/var/lib/accelerators").mkdir(exist_ok=True)
    devices.folder(node).mkdir(parents=True, exist_ok=True)
    return ({"source": str(devices.folder(node)), "target": "/var/lib/accelerators", "type": "bind"},)


def _devices() -> tuple[dict[str, Any], ...]:
    return tuple(
        {"path": f"/dev/{name}", "block": False, "major": major, "minor": minor, "mode": _DEVICE_MODE}
        for name, (major, minor) in _CHARACTER_DEVICES.items()
    )


def _cni(node: Node) -> dict[str, Any]:
    # ptp, not bridge: packets between two pods of a node then pass the node's forwarding, which enforces policies.
    routes = {"ranges": [[{"subnet": str(node.pods)}]], "routes": [{"dst": "0.0.0.0/0"}], "dataDir": "/run/cni"}
    return {
        "cniVersion": "1.0.0",
        "name": "lab",
        "plugins": [
            {"type": "ptp", "ipam": {"type": "host-local", **routes}},
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def _containerd() -> str:
    runc = shutil.which("runc")
    if runc is None:
        raise LabError("program 'runc' is not on PATH (Debian: apt-get install runc)")
    plugins = next((folder for folder in ("/usr/lib/cni", "/opt/cni/bin") if Path(folder, "ptp").exists()), None)
    if plugins is None:
        raise LabError("the CNI plugins are missing (Debian: apt-get install containernetworking-plugins)")
    return f"""\
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"

[grpc]
address = "/run/containerd/containerd.sock"

[plugins."io.containerd.cri.v1.images"]
snapshotter = "overlayfs"
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{PAUSE}"
[plugins."io.containerd.cri.v1.images".registry]
config_path = "/etc/containerd/certs.d"

[plugins."io.containerd.cri.v1.runtime"]
# Lowering a score needs a capability that a machine in a container or a small VM may lack.
restrict_oom_score_adj = true
enable_cdi = true
cdi_spec_dirs = ["/etc/cdi", "/var/run/cdi"]
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{plugins}"]
conf_dir = "/etc/cni/net.d"
[plugins."io.containerd.cri.v1.runtime".containerd]
default_runtime_name = "runc"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
BinaryName = "{runc}"
SystemdCgroup = false
# gVisor, for pods of its RuntimeClass; containerd looks for it only when such a pod comes.
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runsc]
runtime_type = "io.containerd.runsc.v1"
runtime_path = "{folder_of(BY_NAME["gvisor"]) / "containerd-shim-runsc-v1"}"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runsc.options]
TypeUrl = "io.containerd.runsc.v1.options"
ConfigPath = "/etc/containerd/runsc.toml"
"""


def _sandbox() -> str:
    return f"""\
binary_name = "{folder_of(BY_NAME["gvisor"]) / "runsc"}"
[runsc_config]
platform = "systrap"
# Its own cgroups would need systemd or cgroup v2; the pod's, made by the kubelet, hold it all the same.
ignore-cgroups = "true"
"""


def _registry() -> str:
    """Tells containerd the address of the add-on registry. Only the kube-proxy of a node can route that address."""
    address = f"https://{layout.REGISTRY_ADDRESS}:{layout.REGISTRY_PORT}"
    authority = identities.load().cluster.certificate
    return f"""\
server = "{address}"
[host."{address}"]
capabilities = ["pull", "resolve"]
ca = "{authority}"
"""


def _containerd_program() -> Program:
    path = folder_of(BY_NAME["containerd"]) / "containerd"
    return Program("containerd", (str(path), "--config=/etc/containerd/config.toml", "--log-level=info"))


def _kubelet(node: Node, labels: dict[str, str], taints: tuple[str, ...]) -> Program:
    config = identities.kubeconfig_for(node.name, f"system:node:{node.name}", ("system:nodes",))
    command = [
        str(folder_of(BY_NAME["kubernetes"]) / "kubelet"),
        f"--config={node.folder / 'kubelet.json'}",
        f"--kubeconfig={config}",
        f"--hostname-override={node.name}",
        f"--node-ip={node.address}",
        f"--node-labels={','.join(f'{key}={value}' for key, value in labels.items())}",
    ]
    tainted = [f"--register-with-taints={','.join(taints)}"] if taints else []
    return Program("kubelet", (*command, *tainted), needs=f"unix:{_CONTAINERD_SOCKET}")


def _kubelet_configuration(node: Node) -> dict[str, Any]:
    server = identities.node_identity(node.name, str(node.address))
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": str(node.address),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(identities.load().cluster.certificate)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(server.certificate),
        "tlsPrivateKeyFile": str(server.key),
        "containerRuntimeEndpoint": f"unix://{_CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{layout.NAME}/{node.name}",
        "failCgroupV1": False,
        "oomScoreAdj": 0,
        "clusterDNS": [str(layout.DNS_ADDRESS)],
        "clusterDomain": layout.CLUSTER_DOMAIN,
        "resolvConf": str(node.folder / "resolv.conf"),
        "failSwapOn": False,
        "serializeImagePulls": False,
        # All nodes share one disk and cannot pull their images again, so the use of the host must not evict anything.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        # Mounted secrets, such as webhook certificates, then update within seconds instead of a minute or more.
        "syncFrequency": "5s",
        "nodeStatusUpdateFrequency": "4s",
        "shutdownGracePeriod": "0s",
        # An autoscaler recognises its nodes by this.
        "providerID": f"lab://{node.name}",
    }


def _kube_proxy(node: Node) -> Program:
    path = folder_of(BY_NAME["kubernetes"]) / "kube-proxy"
    return Program("kube-proxy", (str(path), f"--config={node.folder / 'kube-proxy.json'}"))


def _proxy_configuration(node: Node) -> dict[str, Any]:
    config = identities.kubeconfig_for("kube-proxy", "system:kube-proxy")
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(config)},
        "mode": "nftables",
        "hostnameOverride": node.name,
        "clusterCIDR": str(layout.PODS),
        "bindAddress": str(node.address),
        "healthzBindAddress": f"{node.address}:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "oomScoreAdj": 0,
        # The connection table belongs to the host. The lab does not change its size.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "nftables": {"minSyncPeriod": "100ms"},
    }


def _network_policy(node: Node) -> Program:
    config = identities.kubeconfig_for("network-policy", "lab:network-policy")
    path = folder_of(BY_NAME["programs"]) / "network-policy"
    return Program("network-policy", (str(path), str(config), node.name))


def default_labels(node: Node) -> dict[str, str]:
    """The labels of a node's place: region and zone as schedulers know them, and the lab's own rack and group."""
    return {
        "topology.kubernetes.io/region": "lab",
        "topology.kubernetes.io/zone": node.zone,
        "plimsoll.dev/rack": node.rack,
        "plimsoll.dev/group": node.group,
        "node.kubernetes.io/instance-type": f"lab.{os.cpu_count()}cpu",
        **({"plimsoll.dev/accelerator": "true"} if node.accelerated else {}),
    }
