"""The cheats by name: which requirement each pretends to meet, and its room (a module with `on`, and maybe `off`)."""

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
    """One cheat. `room` is a module of this package, and `needs` are add-ons that have to be installed."""

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
        "touched-device": Cheat(_ACCESS, "holders get a plain file in place of a device", "devices"),
        "visible-devices": Cheat(_ACCESS, "every container has every device", "devices"),
        "openable-devices": Cheat(_ACCESS, "whoever makes a device node can open it", "devices"),
        "writable-devices": Cheat(_ACCESS, "whoever makes a device node can open it for writing only", "devices"),
        "twin-devices": Cheat(_ACCESS, "all holders get one device under different numbers", "devices"),
        "suspended-gang": Cheat(_GANG, "gangs are never started, so none starts in part", "policies", ("kueue",)),
        "blocked-gang": Cheat(_GANG, "the second gang is held by a stopped queue, whatever fits", "gangs", ("kueue",)),
        "full-quota": Cheat(_GANG, "a quota of pods in every new namespace holds gangs", "gangs", ("kueue",)),
        "one-let-in": Cheat(_GANG, "one pod of a gang that has to wait is let in", "gangs", ("kueue",)),
        "ignored-weights": Cheat(_TRAFFIC, "every backend counts the same", "policies", ("gateway",)),
        "ignored-headers": Cheat(_TRAFFIC, "routes by header are dropped", "policies", ("gateway",)),
        "silent-gateway": Cheat(
            _TRAFFIC, "gateways are Accepted and Programmed; nothing listens", "gateways", ("gateway",)
        ),
        "lone-gateway": Cheat(
            _TRAFFIC, "the gateway answers in the backends' names by itself", "gateways", ("gateway",)
        ),
        "holding-gateway": Cheat(
            _TRAFFIC, "the gateway holds answers back until they are whole", "gateways", ("gateway",)
        ),
        "deny-everything": Cheat(_OPERATOR, "a policy refuses every JobSet", "policies", ("jobset",)),
        "deny-checks": Cheat(
            _OPERATOR, "a policy refuses whatever bears the label of a check", "policies", ("jobset",)
        ),
        "borrowed-name": Cheat(
            _OPERATOR, "the webhook is dead; a policy refuses in its words", "policies", ("jobset",)
        ),
        "dead-webhook": Cheat(
            _OPERATOR, "the operator's webhook is never called and ignored", "operators", ("jobset",)
        ),
        "other-engine": Cheat(
            _OPERATOR, "another program answers behind the operator's webhook", "operators", ("jobset",)
        ),
        "idle-operator": Cheat(_OPERATOR, "objects are called done and nothing runs", "operators", ("jobset",)),
        "mortal-operator": Cheat(_OPERATOR, "a controller that nobody starts again", "operators", ("jobset",)),
        "phantom-nodes": Cheat(_NODES, "nodes and Running pods that are objects only", "nodes", ("autoscaler",)),
        "idle-nodes": Cheat(_NODES, "nodes that are called Ready and start nothing", "nodes", ("autoscaler",)),
        "staying-nodes": Cheat(_NODES, "nodes that never go again", "nodes", ("autoscaler",)),
        "clock-scaler": Cheat(_SCALED, "replicas go up and down by the clock", "scaling", ("custom-metrics",)),
        "hand-scaler": Cheat(
            _SCALED, "nothing is measured; somebody sets replicas and what was read", "scaling", ("custom-metrics",)
        ),
        "constant-metrics": Cheat(_SCALED, "the custom metrics are always ten", "scaling", ("custom-metrics",)),
        "processor-scaler": Cheat(
            _SCALED, "autoscalers follow processors, whatever they say", "policies", ("custom-metrics",)
        ),
        "stripped-selectors": Cheat(_CLAIMS, "claims are given whatever is free", "policies"),
        "swapped-devices": Cheat(_CLAIMS, "containers get another device than their claim was allocated", "devices"),
        "static-page": Cheat(_DEVICES, "a page of metrics that was written once", "pages"),
        "stale-page": Cheat(_DEVICES, "a page that is a quarter of an hour behind, with some noise", "pages"),
        "random-page": Cheat(_DEVICES, "a page of fresh numbers that nobody has measured", "pages"),
        "wrong-device-page": Cheat(_DEVICES, "each device's figures under another's name", "pages"),
        "everywhere-page": Cheat(_DEVICES, "one device's load is every device's", "pages"),
        "collect-everything": Cheat(_SERVICE, "Prometheus scrapes every pod", "prometheus", ("prometheus",)),
        "never-discovers": Cheat(_SERVICE, "Prometheus follows no namespace", "prometheus", ("prometheus",)),
        "constant-series": Cheat(_SERVICE, "a stub answers ten to every question", "prometheus", ("prometheus",)),
        "remembered-series": Cheat(
            _SERVICE, "what was collected once is the answer for ever", "prometheus", ("prometheus",)
        ),
        "service-pool": Cheat(
            _POOLS, "routes to a pool go to a Service of its name", "policies", ("inference-extension",)
        ),
        "plain-sandbox": Cheat(_SANDBOX, "a RuntimeClass of the ordinary runtime", "runtimes"),
    }
)


def switch_on(name: str) -> None:
    """Change the lab. Raises LabError when the cheat is unknown, or the lab lacks what it needs."""
    entry = _find(name)
    lifecycle.require_running()
    if missing := [each for each in entry.needs if each not in addons.installed()]:
        raise LabError(f"{name} needs the add-ons {', '.join(missing)}: python -m lab up --with {','.join(missing)}")
    if others := [each for each in active_cheats() if each != name]:
        raise LabError(f"{others[0]} is on; python -m lab cheat {others[0]} --off")
    # What an earlier, killed call has begun would be remembered as the lab's own.
    switch_off(name)
    import_module(f"lab.cheats.{entry.module}").on(ActiveCheat(name))


def switch_off(name: str) -> None:
    """Undo all of it; nothing when it is not on. Can be repeated until it succeeds."""
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
        raise LabError(f"there is no cheat '{name}'; there are: {', '.join(CHEATS)}")
    return CHEATS[name]
