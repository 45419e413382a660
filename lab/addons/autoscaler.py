"""Karpenter and its group of nodes. It runs outside the cluster, as in a cloud's managed control plane."""

from __future__ import annotations

import sys

from lab import background, layout, machines
from lab.accelerators import driver
from lab.addons import upstream
from lab.addons.catalogue import AddonContent
from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from lab.control_plane import identities
from lab.elastic.service import SOCKET
from lab.kubectl import get, wait
from lab.machines import Machine, Program

_SERVICE = "node-service"
_MACHINE = "autoscaler"
_POOL = "accelerated"
MOST_NODES = 3
_ACCELERATORS_PER_NODE = 2


def autoscaler() -> AddonContent:
    """Karpenter's definitions, a node pool of 0 to 3 nodes with accelerators, and the processes that serve them."""
    definitions = upstream.read_files("karpenter", "pkg/apis/crds/*.yaml")
    return AddonContent(
        images=[driver.image()],
        stages=[[*definitions, _node_class_definition()], [*_rights(), _node_class(), _pool(), *driver.manifests()]],
        ready=[],
        finish=_start,
    )


def _start() -> None:
    if not background.is_running(_SERVICE):
        background.start(_SERVICE, [sys.executable, "-m", "lab.elastic.service", str(SOCKET)])
    wait("the node service", lambda: None if SOCKET.exists() else f"{SOCKET} does not exist yet", 15)
    config = identities.kubeconfig_for("autoscaler", "lab:autoscaler")
    settings = {
        "KUBECONFIG": config,
        "LAB_NODES": SOCKET,
        "SYSTEM_NAMESPACE": "kube-system",
        "DISABLE_LEADER_ELECTION": "true",
        "BATCH_IDLE_DURATION": "500ms",
        "BATCH_MAX_DURATION": "2s",
        "LOG_LEVEL": "info",
    }
    command = ["env", *(f"{name}={value}" for name, value in settings.items())]
    program = Program("karpenter", (*command, str(folder_of(BY_NAME["karpenter"]) / "karpenter")))
    machines.start(Machine(_MACHINE, layout.NAME, (program,)))

    def missing() -> str | None:
        for condition in get("nodepool", _POOL).get("status", {}).get("conditions", []):
            if condition["type"] == "Ready" and condition["status"] == "True":
                return None
        return f"its node pool is not Ready; 'python -m lab logs {_MACHINE}/karpenter' shows the log"

    wait("Karpenter", missing, 60)


def _node_class_definition() -> upstream.Manifest:
    condition = {"type": "Ready", "status": "True", "reason": "Ready", "message": ""}
    ready = {"conditions": [{**condition, "lastTransitionTime": "2026-01-01T00:00:00Z"}]}
    keep = {"x-kubernetes-preserve-unknown-fields": True, "type": "object"}
    schema = {"type": "object", "properties": {"status": {**keep, "default": ready}}}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": schema},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "labnodeclasses.lab.plimsoll.dev"},
        "spec": {
            "group": "lab.plimsoll.dev",
            "names": {"kind": "LabNodeClass", "plural": "labnodeclasses", "singular": "labnodeclass"},
            "scope": "Cluster",
            "versions": [version],
        },
    }


def _node_class() -> upstream.Manifest:
    return {"apiVersion": "lab.plimsoll.dev/v1", "kind": "LabNodeClass", "metadata": {"name": "node"}}


def _rights() -> list[upstream.Manifest]:
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    user = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "lab:autoscaler"}
    return [
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "lab:autoscaler"},
            "roleRef": role,
            "subjects": [user],
        }
    ]


def _pool() -> upstream.Manifest:
    template = {
        "metadata": {"labels": {"plimsoll.dev/accelerator": "true", "plimsoll.dev/group": "elastic"}},
        "spec": {
            "nodeClassRef": {"group": "lab.plimsoll.dev", "kind": "LabNodeClass", "name": "node"},
            # Only pods that request accelerators run here. Any other pod would keep a node from becoming empty.
            "taints": [{"key": "plimsoll.dev/accelerator", "effect": "NoSchedule"}],
            "requirements": [{"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]}],
            "expireAfter": "Never",
        },
    }
    return {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": _POOL},
        "spec": {
            "template": template,
            "limits": {"plimsoll.dev/accelerator": str(MOST_NODES * _ACCELERATORS_PER_NODE)},
            "disruption": {
                "consolidationPolicy": "WhenEmpty",
                "consolidateAfter": "5s",
                "budgets": [{"nodes": "100%"}],
            },
        },
    }
