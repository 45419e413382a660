"""The cheats by name: the requirement that each pretends to meet, and its module.

A module has a function `on`, and a function `off` where undoing the recorded changes is not enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType

from lab import lifecycle
from lab.addons import catalogue as addons
from lab.cheats.scene import Scene, active
from lab.errors import LabError


@dataclass(frozen=True)
class Cheat:
    """One cheat. `module` is a module of this package; `needs` are add-ons that must be installed."""

    requirement: str
    summary: str
    module: str
    needs: tuple[str, ...] = ()


_ACCESS, _GANG, _TRAFFIC = "secure_accelerator_access", "gang_scheduling", "ai_inference"
_OPERATOR, _NODES, _SCALED = "robust_controller", "cluster_autoscaling", "pod_autoscaling"
_DEVICES, _SERVICE, _SANDBOX = "accelerator_metrics", "ai_service_metrics", "workload_sandboxing"
_CLAIMS, _POOLS = "dra_support", "advanced_inference_ingress"

CHEATS: Mapping[str, Cheat] = MappingProxyType(
    {
        "touched-device": Cheat(_ACCESS, "containers with a device get a plain file in its place", "devices"),
        "visible-devices": Cheat(_ACCESS, "every container gets every device", "devices"),
        "openable-devices": Cheat(_ACCESS, "any container that creates a device node can open it", "devices"),
        "writable-devices": Cheat(
            _ACCESS, "any container that creates a device node can open it for writing only", "devices"
        ),
        "twin-devices": Cheat(
            _ACCESS, "all containers with a device get the same one under different numbers", "devices"
        ),
        "suspended-gang": Cheat(_GANG, "no gang ever starts, so none starts in part", "policies", ("kueue",)),
        "blocked-gang": Cheat(_GANG, "a stopped queue holds the second gang, even when it fits", "gangs", ("kueue",)),
        "full-quota": Cheat(_GANG, "a quota of pods in every new namespace blocks gangs", "gangs", ("kueue",)),
        "one-let-in": Cheat(_GANG, "one pod of a waiting gang is started", "gangs", ("kueue",)),
        "ignored-weights": Cheat(_TRAFFIC, "every backend gets the same weight", "policies", ("gateway",)),
        "ignored-headers": Cheat(_TRAFFIC, "routes by header are dropped", "policies", ("gateway",)),
        "silent-gateway": Cheat(
            _TRAFFIC, "gateways are Accepted and Programmed, but nothing listens", "gateways", ("gateway",)
        ),
        "lone-gateway": Cheat(_TRAFFIC, "the gateway itself answers in the backends' place", "gateways", ("gateway",)),
        "holding-gateway": Cheat(
            _TRAFFIC, "the gateway holds each response back until it is complete", "gateways", ("gateway",)
        ),
        "deny-everything": Cheat(_OPERATOR, "a policy refuses every JobSet", "policies", ("jobset",)),
        "deny-checks": Cheat(
            _OPERATOR, "a policy refuses every JobSet with the label of a check", "policies", ("jobset",)
        ),
        "borrowed-name": Cheat(
            _OPERATOR, "the webhook does not work, and a policy refuses in its words", "policies", ("jobset",)
        ),
        "dead-webhook": Cheat(
            _OPERATOR, "the operator's webhook cannot be called, and its failure is ignored", "operators", ("jobset",)
        ),
        "other-engine": Cheat(
            _OPERATOR, "another program answers for the operator's webhook", "operators", ("jobset",)
        ),
        "idle-operator": Cheat(
            _OPERATOR, "objects are marked as completed, but nothing runs", "operators", ("jobset",)
        ),
        "mortal-operator": Cheat(_OPERATOR, "nothing restarts the controller", "operators", ("jobset",)),
        "phantom-nodes": Cheat(_NODES, "nodes and Running pods exist only as objects", "nodes", ("autoscaler",)),
        "idle-nodes": Cheat(_NODES, "nodes are marked as Ready, but start nothing", "nodes", ("autoscaler",)),
        "staying-nodes": Cheat(_NODES, "nodes are never removed", "nodes", ("autoscaler",)),
        "clock-scaler": Cheat(_SCALED, "replicas follow the clock", "scaling", ("custom-metrics",)),
        "hand-scaler": Cheat(
            _SCALED, "nothing is measured; a process sets replicas and metric values", "scaling", ("custom-metrics",)
        ),
        "constant-metrics": Cheat(_SCALED, "the custom metrics are always ten", "scaling", ("custom-metrics",)),
        "processor-scaler": Cheat(
            _SCALED, "autoscalers use the CPU in place of their metric", "policies", ("custom-metrics",)
        ),
        "stripped-selectors": Cheat(_CLAIMS, "a claim gets any free device", "policies"),
        "swapped-devices": Cheat(
            _CLAIMS, "containers get a device other than the one allocated to their claim", "devices"
        ),
        "static-page": Cheat(_DEVICES, "the page of metrics never changes", "pages"),
        "stale-page": Cheat(_DEVICES, "the page is up to a quarter of an hour old, with some noise", "pages"),
        "random-page": Cheat(_DEVICES, "the page has random utilization", "pages"),
        "wrong-device-page": Cheat(_DEVICES, "the page has each device's values under another device's name", "pages"),
        "everywhere-page": Cheat(_DEVICES, "the page gives every device the highest value of all devices", "pages"),
        "collect-everything": Cheat(_SERVICE, "Prometheus scrapes every pod", "prometheus", ("prometheus",)),
        "never-discovers": Cheat(_SERVICE, "Prometheus watches no namespace", "prometheus", ("prometheus",)),
        "constant-series": Cheat(_SERVICE, "a stub answers every query with ten", "prometheus", ("prometheus",)),
        "remembered-series": Cheat(
            _SERVICE, "queries return the first collected value for ever", "prometheus", ("prometheus",)
        ),
        "service-pool": Cheat(
            _POOLS, "routes to a pool go to a Service of the same name", "policies", ("inference-extension",)
        ),
        "plain-sandbox": Cheat(_SANDBOX, "the RuntimeClass uses the ordinary runtime", "runtimes"),
    }
)


def switch_on(name: str) -> None:
    """Switch a cheat on. Raises LabError when it is unknown, the lab lacks an add-on, or another cheat is on."""
    cheat = _known(name)
    lifecycle.require_running()
    if missing := [each for each in cheat.needs if each not in addons.installed()]:
        raise LabError(f"{name} needs the add-ons {', '.join(missing)}: python -m lab up --with {','.join(missing)}")
    if others := [each for each in active() if each != name]:
        raise LabError(f"the cheat {others[0]} is on; switch it off: python -m lab cheat {others[0]} --off")
    # Changes of an earlier, killed call would be recorded as the lab's original state.
    switch_off(name)
    import_module(f"lab.cheats.{cheat.module}").on(Scene(name))


def switch_off(name: str) -> None:
    """Undo all changes of a cheat. Does nothing when it is not on, and can be repeated until it succeeds."""
    cheat = _known(name)
    scene = Scene(name)
    if not scene.begun():
        return
    scene.end_processes()
    module = import_module(f"lab.cheats.{cheat.module}")
    scene.undo()
    if hasattr(module, "off"):
        module.off(scene)
    scene.forget()


def _known(name: str) -> Cheat:
    if name not in CHEATS:
        raise LabError(f"there is no cheat '{name}'; the cheats are {', '.join(CHEATS)}")
    return CHEATS[name]
