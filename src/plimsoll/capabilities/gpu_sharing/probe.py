"""Pods that share a device, one more at a time until one has to wait."""

from __future__ import annotations

from plimsoll.capabilities.device_holders import (
    LEVEL,
    Offer,
    chosen,
    expression,
    hold,
    holds,
    note_holder,
    refused,
    release,
    with_class,
)
from plimsoll.capabilities.facts import Facts
from plimsoll.capabilities.hardware import HARDWARE
from plimsoll.capabilities.probe_namespace import Stage
from plimsoll.evidence.verdict import Verdict, failed, unknown

_START_LIMIT = 120.0
_MOST = 17
_WINDOW = 5.0


def obstacle(facts: Facts) -> Verdict | None:
    """A mode of sharing that is declared, for hardware that is known."""
    if _modes(facts):
        return None
    if not any(each.hardware for each in facts.accelerators):
        return unknown("no accelerator that is known", "connect one, or report the hardware that there is")
    return failed(
        "",
        "no mode of sharing is declared: no shared resource and no class of shared devices",
        "see the driver's settings",
    )


def _modes(facts: Facts) -> list[tuple[Offer, str]]:
    """Each declared mode with the node it is tried on; a class chooses its device, and so its node, itself."""
    found = []
    for hardware in HARDWARE:
        for resource in hardware.shared:
            nodes = [each["name"] for each in facts.nodes if int(each["allocatable"].get(resource, "0")) > 1]
            found += [(Offer(hardware, resource=resource), node) for node in nodes[:1]]
    for hardware, name in with_class(facts, "shared_classes"):
        if attribute := chosen(facts, hardware, shared=True):
            found.append((Offer(hardware, device_class=name, expression=expression(hardware, attribute)), ""))
    return found


def observe(stage: Stage, facts: Facts) -> None:
    """Every mode."""
    stage.open(LEVEL)
    for number, (offer, node) in enumerate(_modes(facts)):
        _shared(stage, f"mode-{number}", offer, node)


def _shared(stage: Stage, prefix: str, offer: Offer, node: str) -> None:
    stage.note("mode", mode=prefix, name=offer.name, node=node)
    running: list[str] = []
    waiting = ""
    while not waiting and len(running) < _MOST:
        name = f"{prefix}-{len(running)}"
        hold(stage, name, offer, node)
        stage.wait(f"a decision on {name}", lambda name=name: holds(stage, name) or refused(stage, name), _START_LIMIT)  # type: ignore[misc]  # mypy cannot infer such lambdas
        if not holds(stage, name):
            waiting = name
            break
        running.append(name)
        note_holder(stage, name, mode=prefix, case="holds")
    if waiting:
        stage.hold(_WINDOW, lambda: None)
        note_holder(stage, waiting, mode=prefix, case="waits")
        if running:
            release(stage, running.pop())
            stage.wait("a place that was given back", lambda: holds(stage, waiting), _START_LIMIT)
            note_holder(stage, waiting, mode=prefix, case="released")
    for name in (*running, *([waiting] if waiting else [])):
        release(stage, name)
