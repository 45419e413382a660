"""What a tenant's people may do in its namespace, and the little that they may read outside. Pure.

It is what `plimsoll` needs to run, watch, serve, promote and remove applications. What would move the walls is not in
it: quotas, limits, roles, bindings, the namespace itself, and running commands in pods. Network policies are, since
services have theirs; `policy` keeps them from opening the tenant's own.
"""

from __future__ import annotations

from msgspec import Struct

from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.cluster import DRA, GATEWAY, group_of
from plimsoll.kubernetes.discovery import HOSTING, OURS, PUBLIC

LOOK = ("get", "list", "watch")
FULL = (*LOOK, "create", "update", "patch", "delete")


class Allowed(Struct, frozen=True, kw_only=True):
    """Verbs on resources of one API group, of some objects alone where `names` has any."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...] = FULL
    names: tuple[str, ...] = ()

    def as_rule(self) -> Manifest:
        """The rule of a role."""
        named = {"resourceNames": list(self.names)} if self.names else {}
        return {"apiGroups": [self.group], "resources": list(self.resources), **named, "verbs": list(self.verbs)}


IN_NAMESPACE = (
    Allowed(
        group="",
        resources=("configmaps", "persistentvolumeclaims", "pods", "secrets", "serviceaccounts", "services"),
    ),
    Allowed(group="", resources=("namespaces",), verbs=("get",)),
    Allowed(group="", resources=("pods/log", "pods/proxy"), verbs=("get",)),
    Allowed(group="", resources=("pods/portforward",), verbs=("get", "create")),
    Allowed(group="", resources=("events", "limitranges", "resourcequotas"), verbs=LOOK),
    Allowed(group="apps", resources=("deployments",)),
    Allowed(group="apps", resources=("replicasets",), verbs=LOOK),
    Allowed(group="autoscaling", resources=("horizontalpodautoscalers",)),
    Allowed(group="batch", resources=("cronjobs", "jobs")),
    Allowed(group="coordination.k8s.io", resources=("leases",)),
    Allowed(group="gateway.envoyproxy.io", resources=("backendtrafficpolicies",)),
    Allowed(group="gateway.networking.k8s.io", resources=("gateways", "httproutes")),
    Allowed(group="jobset.x-k8s.io", resources=("jobsets",)),
    Allowed(group="keda.sh", resources=("scaledobjects",)),
    Allowed(group="kueue.x-k8s.io", resources=("localqueues", "workloads"), verbs=LOOK),
    Allowed(group="monitoring.coreos.com", resources=("prometheusrules", "servicemonitors")),
    Allowed(group="networking.k8s.io", resources=("networkpolicies",)),
    Allowed(group="policy", resources=("poddisruptionbudgets",)),
    Allowed(group="ray.io", resources=("rayjobs",)),
    Allowed(group="ray.io", resources=("rayclusters",), verbs=LOOK),
    Allowed(group="resource.k8s.io", resources=("resourceclaims", "resourceclaimtemplates")),
    Allowed(group="scheduling.k8s.io", resources=("podgroups",)),
    Allowed(group="serving.kserve.io", resources=("inferenceservices", "llminferenceservices")),
    Allowed(group="trainer.kubeflow.org", resources=("trainingruntimes", "trainjobs")),
)
CLASSES = (
    Allowed(group=group_of(GATEWAY), resources=("gatewayclasses",), verbs=("list",)),
    Allowed(group=group_of(DRA), resources=("deviceclasses",), verbs=("list",)),
)
"""Classes that lie in no namespace and name no tenant."""
NODES = Allowed(group="", resources=("nodes",), verbs=("list",))
"""Only for tenants with accelerators that a device plugin counts: nodes tell which images they hold."""
PUBLISHED = (PUBLIC, Allowed(group="", resources=("configmaps",), verbs=("get",), names=(HOSTING, OURS)))
"""Where the cluster says which registry and base image it has."""
