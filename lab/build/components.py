"""The components that the lab builds from source. Only the go.mod of each component has its version."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

COMPONENTS = Path(__file__).resolve().parents[1] / "components"


@dataclass(frozen=True)
class Workspace:
    """A Go workspace: its members are built against one set of library versions. See `alignment`."""

    name: str

    @property
    def file(self) -> Path:
        """The workspace's file. Go keeps its sums beside it."""
        return COMPONENTS / f"{self.name}.work"

    def pins(self) -> list[Path]:
        """What determines the versions of its libraries: the file, its sums, and the pins of every member."""
        members = sorted(component.folder for component in BY_NAME.values() if component.workspace == self)
        sums = self.file.with_name(self.file.name + ".sum")
        return [self.file, sums, *(member / "go.mod" for member in members)]


# Add-ons whose code compiles with the Kubernetes libraries that Kueue requires. Envoy Gateway, the Trainer and others
# need another controller-runtime, and prometheus-adapter an older custom-metrics-apiserver: they keep their own.
_ADDONS = Workspace("addons")


@dataclass(frozen=True, eq=False)
class Component:
    """A Go module and the programs that are built from it.

    `programs` maps a program's name to its package. `linker_values` are -X settings; "{version}" in one stands for the
    pinned version. `local` is true when the packages are beside the go.mod: the lab's own programs, or the lab's
    programs around packages of another project. Without a `workspace` its own go.mod alone determines its libraries.
    """

    name: str
    module: str
    programs: dict[str, str]
    linker_values: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    local: bool = False
    workspace: Workspace | None = None

    @property
    def folder(self) -> Path:
        """The folder of the component's go.mod and go.sum."""
        return COMPONENTS / self.name

    @property
    def version(self) -> str:
        """The version of the module that the go.mod pins, or "(this tree)" for local packages."""
        if self.local:
            return "(this tree)"
        found = re.search(rf"^\s*(?:require )?{re.escape(self.module)} (v\S+)", self._go_mod(), re.MULTILINE)
        if found is None:
            raise ValueError(f"{self.folder / 'go.mod'} does not require {self.module}")
        return found[1]

    def _go_mod(self) -> str:
        return (self.folder / "go.mod").read_text()


def _kubernetes() -> Component:
    programs = {
        name: f"k8s.io/kubernetes/cmd/{name}"
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl")
    }
    programs["agnhost"] = "k8s.io/kubernetes/test/images/agnhost"
    values = (
        "k8s.io/component-base/version.gitVersion={version}",
        "k8s.io/component-base/version.gitMajor={major}",
        "k8s.io/component-base/version.gitMinor={minor}",
        "k8s.io/component-base/version.gitTreeState=clean",
    )
    return Component("kubernetes", "k8s.io/kubernetes", programs, linker_values=values)


_REGISTRY = "github.com/distribution/distribution/v3"
_TRAINER = "github.com/kubeflow/trainer/v2"
_KUBERAY = "github.com/ray-project/kuberay/ray-operator"
_KSERVE = "github.com/kserve/kserve"
_GATEKEEPER = "github.com/open-policy-agent/gatekeeper/v3"
_KEDA = "github.com/kedacore/keda/v2"
_CONTAINERD = "github.com/containerd/containerd/v2"
_WEAVIATE = "github.com/weaviate/weaviate"
_COSIGN = "github.com/sigstore/cosign/v3"
_ALL = (
    _kubernetes(),
    Component("etcd", "go.etcd.io/etcd/server/v3", {"etcd": "go.etcd.io/etcd/server/v3"}),
    # The API server's storage in SQLite, for light labs.
    Component("kine", "github.com/k3s-io/kine", {"kine": "github.com/k3s-io/kine"}),
    Component(
        "containerd",
        _CONTAINERD,
        {name: f"{_CONTAINERD}/cmd/{name}" for name in ("containerd", "containerd-shim-runc-v2", "ctr")},
        linker_values=(f"{_CONTAINERD}/version.Version={{version}}",),
    ),
    Component(
        "programs",
        "plimsoll.dev/lab/components/programs",
        {name: f"./{name}" for name in ("machine", "forward", "network-policy", "accelerator", "delay")},
        local=True,
    ),
    Component("coredns", "github.com/coredns/coredns", {"coredns": "github.com/coredns/coredns"}, workspace=_ADDONS),
    Component("jobset", "sigs.k8s.io/jobset", {"jobset": "sigs.k8s.io/jobset"}, workspace=_ADDONS),
    Component("kueue", "sigs.k8s.io/kueue", {"kueue": "sigs.k8s.io/kueue/cmd/kueue"}, workspace=_ADDONS),
    Component(
        "metrics-server",
        "sigs.k8s.io/metrics-server",
        {"metrics-server": "sigs.k8s.io/metrics-server/cmd/metrics-server"},
    ),
    Component(
        "prometheus-operator",
        "github.com/prometheus-operator/prometheus-operator",
        {
            "prometheus-operator": "github.com/prometheus-operator/prometheus-operator/cmd/operator",
            "prometheus-config-reloader": (
                "github.com/prometheus-operator/prometheus-operator/cmd/prometheus-config-reloader"
            ),
        },
        workspace=_ADDONS,
    ),
    Component(
        "prometheus",
        "github.com/prometheus/prometheus",
        {name: f"github.com/prometheus/prometheus/cmd/{name}" for name in ("prometheus", "promtool")},
        linker_values=("github.com/prometheus/common/version.Version={version}",),
    ),
    Component(
        "prometheus-adapter",
        "sigs.k8s.io/prometheus-adapter",
        {"prometheus-adapter": "sigs.k8s.io/prometheus-adapter/cmd/adapter"},
    ),
    Component(
        "envoy-gateway",
        "github.com/envoyproxy/gateway",
        {"envoy-gateway": "github.com/envoyproxy/gateway/cmd/envoy-gateway"},
    ),
    Component("scale", "plimsoll.dev/lab/components/scale", {"scale": "."}, local=True),
    Component("karpenter", "sigs.k8s.io/karpenter", {"karpenter": "."}, local=True, workspace=_ADDONS),
    Component("registry", _REGISTRY, {"registry": f"{_REGISTRY}/cmd/registry"}),
    Component("minio", "github.com/minio/minio", {"minio": "github.com/minio/minio"}),
    Component("trainer", _TRAINER, {"trainer": f"{_TRAINER}/cmd/trainer-controller-manager"}),
    Component("kuberay", _KUBERAY, {"kuberay": _KUBERAY}),
    Component("kserve", _KSERVE, {"kserve": f"{_KSERVE}/cmd/manager"}),
    Component(
        "inference-extension",
        "sigs.k8s.io/gateway-api-inference-extension",
        {"epp": "sigs.k8s.io/gateway-api-inference-extension/cmd/epp"},
    ),
    Component("pool-routing", "plimsoll.dev/lab/components/pool-routing", {"pool-routing": "."}, local=True),
    Component("keda", _KEDA, {"keda": f"{_KEDA}/cmd/operator", "keda-adapter": f"{_KEDA}/cmd/adapter"}),
    Component("gatekeeper", _GATEKEEPER, {"gatekeeper": _GATEKEEPER}),
    # Only a program of tests: what Plimsoll signs is verified by it, and the other way round.
    Component(
        "cosign",
        _COSIGN,
        {"cosign": f"{_COSIGN}/cmd/cosign"},
        linker_values=("sigs.k8s.io/release-utils/version.gitVersion={version}",),
    ),
    Component(
        "gvisor",
        "gvisor.dev/gvisor",
        {"runsc": "gvisor.dev/gvisor/runsc", "containerd-shim-runsc-v1": "./shim"},
        local=True,
    ),
    # Not for clusters: the tests of `store: weaviate` run it.
    Component("weaviate", _WEAVIATE, {"weaviate-server": f"{_WEAVIATE}/cmd/weaviate-server"}),
    Component("helm", "helm.sh/helm/v3", {"helm": "helm.sh/helm/v3/cmd/helm"}, workspace=_ADDONS),
)

BY_NAME = {component.name: component for component in _ALL}
