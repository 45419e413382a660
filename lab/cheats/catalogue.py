"""The table of cheats: the requirement that each pretends to meet, and its module with `on` and perhaps `off`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType

from lab import lifecycle
from lab.addons import catalogue as addons
from lab.cheats.active import ActiveCheat, active_cheats
from lab.errors import LabError


@dataclass(frozen=True)
class Cheat:
    """An entry of the table. `module` is a module of this package. `needs` are add-ons that must be installed."""

    requirement: str
    summary: str
    module: str
    needs: tuple[str, ...] = ()


_ACCESS, _GANG, _TRAFFIC = "secure_accelerator_access", "gang_scheduling", "ai_inference"
_OPERATOR, _NODES, _SCALED = "robust_controller", "cluster_autoscaling", "pod_autoscaling"
_DEVICES, _SERVICE, _SANDBOX = "accelerator_metrics", "ai_service_metrics", "workload_sandboxing"
_CLAIMS, _POOLS, _TENANTS = "dra_support", "advanced_inference_ingress", "tenant_isolation"

CHEATS: Mapping[str, Cheat] = MappingProxyType(
    {
        "touched-device": Cheat(_ACCESS, "a container gets a plain file instead of its device", "devices"),
        "visible-devices": Cheat(_ACCESS, "every container gets every device", "devices"),
        "openable-devices": Cheat(_ACCESS, "a container can open any device node that it creates", "devices"),
        "writable-devices": Cheat(
            _ACCESS, "a container can open any device node that it creates, for writing only", "devices"
        ),
        "twin-devices": Cheat(_ACCESS, "all containers get the same device under different numbers", "devices"),
        "suspended-gang": Cheat(_GANG, "no gang ever starts, so none starts in part", "policies", ("kueue",)),
        "blocked-gang": Cheat(_GANG, "a stopped queue holds the second gang even if it fits", "gangs", ("kueue",)),
        "full-quota": Cheat(_GANG, "a pod quota in every new namespace holds gangs", "gangs", ("kueue",)),
        "one-let-in": Cheat(_GANG, "one pod of a waiting gang is started", "gangs", ("kueue",)),
        "ignored-weights": Cheat(_TRAFFIC, "every backend gets the same weight", "policies", ("gateway",)),
        "ignored-headers": Cheat(_TRAFFIC, "routes by header are removed", "policies", ("gateway",)),
        "silent-gateway": Cheat(
            _TRAFFIC, "gateways are Accepted and Programmed, and nothing listens", "gateways", ("gateway",)
        ),
        "lone-gateway": Cheat(_TRAFFIC, "the gateway itself answers in the backends' names", "gateways", ("gateway",)),
        "holding-gateway": Cheat(
            _TRAFFIC, "the gateway holds responses back until they are complete", "gateways", ("gateway",)
        ),
        "deny-everything": Cheat(_OPERATOR, "a policy denies every JobSet", "policies", ("jobset",)),
        "deny-checks": Cheat(
            _OPERATOR, "a policy denies every JobSet with the label of a check", "policies", ("jobset",)
        ),
        "borrowed-name": Cheat(
            _OPERATOR, "the webhook is dead, and a policy denies with its message", "policies", ("jobset",)
        ),
        "dead-webhook": Cheat(_OPERATOR, "the operator's webhook is unreachable and ignored", "operators", ("jobset",)),
        "other-engine": Cheat(
            _OPERATOR, "another program answers behind the operator's webhook", "operators", ("jobset",)
        ),
        "idle-operator": Cheat(_OPERATOR, "objects are marked completed and nothing runs", "operators", ("jobset",)),
        "mortal-operator": Cheat(_OPERATOR, "nothing restarts the controller", "operators", ("jobset",)),
        "phantom-nodes": Cheat(_NODES, "nodes and Running pods exist as objects only", "nodes", ("autoscaler",)),
        "idle-nodes": Cheat(_NODES, "nodes are marked Ready and start nothing", "nodes", ("autoscaler",)),
        "staying-nodes": Cheat(_NODES, "nodes are never removed", "nodes", ("autoscaler",)),
        "clock-scaler": Cheat(_SCALED, "replicas follow the clock", "scaling", ("custom-metrics",)),
        "hand-scaler": Cheat(
            _SCALED, "nothing is measured; a script sets replicas and metric values", "scaling", ("custom-metrics",)
        ),
        "constant-metrics": Cheat(_SCALED, "every custom metric is always ten", "scaling", ("custom-metrics",)),
        "processor-scaler": Cheat(
            _SCALED, "autoscalers follow CPU use, whatever metric they declare", "policies", ("custom-metrics",)
        ),
        "stripped-selectors": Cheat(_CLAIMS, "a claim gets any free device", "policies"),
        "swapped-devices": Cheat(_CLAIMS, "a container gets another device than its claim's", "devices"),
        "static-page": Cheat(_DEVICES, "a page of metrics that never changes", "pages"),
        "stale-page": Cheat(_DEVICES, "a page that is up to 15 minutes old, with some noise", "pages"),
        "random-page": Cheat(_DEVICES, "a page with random utilization that nothing measured", "pages"),
        "wrong-device-page": Cheat(_DEVICES, "each device's metrics under the name of another", "pages"),
        "everywhere-page": Cheat(_DEVICES, "every device shows the highest value of all devices", "pages"),
        "constant-memory": Cheat(_DEVICES, "true utilization beside memory that never changes", "pages"),
        "random-memory": Cheat(_DEVICES, "true utilization beside random memory", "pages"),
        "memory-by-utilization": Cheat(_DEVICES, "memory that is worked out from utilization", "pages"),
        "memory-everywhere": Cheat(_DEVICES, "every device shows the memory of the fullest one", "pages"),
        "collect-everything": Cheat(_SERVICE, "Prometheus scrapes every pod", "prometheus", ("prometheus",)),
        "never-discovers": Cheat(_SERVICE, "Prometheus discovers no namespace", "prometheus", ("prometheus",)),
        "constant-series": Cheat(_SERVICE, "a stub answers ten to every query", "prometheus", ("prometheus",)),
        "remembered-series": Cheat(
            _SERVICE, "the first answer for a series is repeated for ever", "prometheus", ("prometheus",)
        ),
        "service-pool": Cheat(
            _POOLS, "routes to a pool go to a Service with its name", "policies", ("inference-extension",)
        ),
        "paper-walls": Cheat(_TENANTS, "network policies are opened when they are made", "policies"),
        "paper-quotas": Cheat(_TENANTS, "quotas are emptied when they are made", "policies"),
        "common-secrets": Cheat(_TENANTS, "every service account reads every secret", "rights"),
        "plain-sandbox": Cheat(_SANDBOX, "a RuntimeClass that uses the ordinary runtime", "runtimes"),
    }
)


def switch_on(name: str) -> None:
    """Switches a cheat on. Raises LabError if it is unknown, needs missing add-ons, or another cheat is on."""
    entry = _find(name)
    lifecycle.require_running()
    if missing := [each for each in entry.needs if each not in addons.installed()]:
        raise LabError(
            f"{name} needs the add-ons {', '.join(missing)}; "
            f"'python -m lab up --with {','.join(missing)}' installs them"
        )
    if others := [each for each in active_cheats() if each != name]:
        raise LabError(f"{others[0]} is on; 'python -m lab cheat {others[0]} --off' switches it off")
    # Undo an earlier call that was killed. Else its changes would be recorded as the lab's original state.
    switch_off(name)
    import_module(f"lab.cheats.{entry.module}").on(ActiveCheat(name))


def switch_off(name: str) -> None:
    """Undoes a cheat. Does nothing when it is off, and can be repeated until it succeeds."""
    entry = _find(name)
    cheat = ActiveCheat(name)
    if not cheat.has_started():
        return
    cheat.stop_processes()
    module = import_module(f"lab.cheats.{entry.module}")
    cheat.undo()
    if hasattr(module, "off"):
        module.off(cheat)
    cheat.delete_record()


def _find(name: str) -> Cheat:
    if name not in CHEATS:
        raise LabError(f"unknown cheat '{name}'; known cheats: {', '.join(CHEATS)}")
    return CHEATS[name]
