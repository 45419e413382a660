"""A bad object, its twin, a good one, and a good one after the controller was killed."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from itertools import groupby
from typing import Any

from plimsoll.capabilities.facts import ClusterFacts
from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.capabilities.robust_controller.operators import TRIED, UNTRIED, Operator, present
from plimsoll.evidence.verdict import Verdict, failed, unknown
from plimsoll.kubernetes.api import ApiError, Manifest
from plimsoll.kubernetes.objects import has_condition

_DONE_LIMIT = 120.0
_HEAL_LIMIT = 180.0


def obstacle(facts: ClusterFacts) -> Verdict | None:
    """Without an operator that is known there is none to try."""
    if present(facts):
        return None
    if others := [name for group, name in UNTRIED.items() if facts.serves(group)]:
        return unknown(
            f"there is {', '.join(others)}, which cannot be tried yet, and none of {TRIED}",
            "install one of them, or show by hand that a bad object is refused and a lost controller comes back",
        )
    return failed("", f"no AI operator that is known is installed: none of {TRIED}", "install one of them")


def observe(ns: ProbeNamespace, facts: ClusterFacts) -> None:
    """Every operator that is there."""
    ns.create()
    for operator in present(facts):
        _try(ns, facts, operator)


def _try(ns: ProbeNamespace, facts: ClusterFacts, operator: Operator) -> None:
    every = [
        {"configuration": each["name"], **hook} for each in (*facts.webhooks, *facts.mutating) for hook in each["hooks"]
    ]
    hooks = [hook for hook in every if operator.resource in hook["kinds"]]
    own = [
        {"configuration": each["name"], **hook}
        for each in facts.webhooks
        for hook in each["hooks"]
        if operator.resource in hook["kinds"] and operator.controller in hook["service"].get("name", "")
    ]
    word = f"nobody-{secrets.token_hex(3)}"
    ns.note(
        "operator",
        name=operator.name,
        resource=operator.resource,
        hooks=own,
        others=[hook for hook in hooks if hook not in own],
        # Nothing but a configuration keeps two webhooks from bearing one name, by which a refusal is told.
        namesakes=[hook for hook in every if hook not in own and hook["name"] in {each["name"] for each in own}],
        word=word,
    )
    operator.prepare(ns)
    # Short, as KServe makes one label of a host name of an object's name and its namespace: 63 characters.
    prefix = operator.controller
    ns.accepts(operator.object(ns, f"{prefix}-bad", word), f"{operator.name}: bad")
    if not ns.accepts(operator.object(ns, f"{prefix}-twin", operator.part), f"{operator.name}: twin"):
        return
    _carry_out(ns, operator, f"{prefix}-good", f"{operator.name}: good", _DONE_LIMIT)
    bad = operator.object(ns, f"{prefix}-bad", word)
    if own and _healed(ns, operator, own[0]["service"], lambda: _said(ns, bad, own, word)):
        _carry_out(ns, operator, f"{prefix}-after", f"{operator.name}: after", _HEAL_LIMIT)


def _carry_out(ns: ProbeNamespace, operator: Operator, name: str, label: str, limit: float) -> None:
    factors = [1_000 + secrets.randbelow(8_000) for _ in range(2)]
    manifest = operator.object(ns, name, operator.part, f"echo worked out $(({factors[0]}*{factors[1]}))")
    # A controller that is starting refuses for a moment, through its webhook.
    if not ns.wait(f"{name} to be taken", lambda: ns.accepts(manifest, f"{label} taken"), limit):
        ns.note("carried-out", label=label, done=False, factors=factors, pods=[])
        return
    ns.apply(manifest)

    def done() -> bool:
        return operator.done(ns.get(operator.api_version, operator.kind, name))

    ended = ns.wait(f"{name} to be carried out", done, limit)
    pods = [
        {"phase": each["status"].get("phase"), "log": ns.log(each["metadata"]["name"], _container(each))[:200]}
        for each in ns.list("v1", "Pod", operator.pods(name))
    ]
    ns.note("carried-out", label=label, done=bool(ended), factors=factors, pods=pods)


def _container(pod: Manifest) -> str:
    return str(pod["spec"]["containers"][0]["name"])


def _said(ns: ProbeNamespace, bad: Manifest, hooks: list[dict[str, Any]], word: str) -> str:
    """What becomes of a bad object at this moment: refused in the operator's name, failed otherwise, or taken."""
    try:
        ns.api.create(ns.labelled(bad), dry_run=True)
    except ApiError as error:
        in_its_name = any(error.message.startswith(f'admission webhook "{hook["name"]}" denied') for hook in hooks)
        return "refused" if in_its_name and word in error.message else "failed"
    return "taken"


def _healed(ns: ProbeNamespace, operator: Operator, service: dict[str, Any], say: Callable[[], str]) -> bool:
    """Ends the pods behind the operator's webhook, as a node's failure would: whether as many come back.

    Meanwhile nobody can refuse in their name but another who does so all along.
    """
    namespace = service["namespace"]
    chosen = _selector(ns, service)
    selector = ",".join(f"{key}={value}" for key, value in chosen.items())
    pods = ns.api.list("v1", "Pod", namespace, selector) if chosen else []
    before = {pod["metadata"]["uid"]: pod["metadata"]["name"] for pod in pods}
    leaders = _leaders(ns, namespace)
    ns.note("killed", operator=operator.name, namespace=namespace, pods=list(before.values()), leaders=leaders)
    if not before:
        return False
    for name in before.values():
        ns.api.delete("v1", "Pod", name, namespace, grace=0)

    said: list[str] = []

    def healed() -> bool:
        said.append(say())
        pods = ns.api.list("v1", "Pod", namespace, selector)
        ready = [pod for pod in pods if pod["metadata"]["uid"] not in before and has_condition(pod, "Ready")]
        return len(ready) >= len(before)

    back = ns.wait(f"the controller of {operator.name}", healed, _HEAL_LIMIT)
    ns.note("healed", operator=operator.name, back=bool(back), said=[key for key, _ in groupby(said)])
    return bool(back)


def _selector(ns: ProbeNamespace, service: dict[str, Any]) -> dict[str, str]:
    """What a service selects. One that there is not, or that leads to what somebody wrote into its slices, nothing."""
    try:
        found = ns.api.get("v1", "Service", service["name"], service["namespace"])
    except ApiError as error:
        if error.status == 404:
            return {}
        raise
    return dict(found["spec"].get("selector") or {})


def _leaders(ns: ProbeNamespace, namespace: str) -> list[str]:
    """Who holds the namespace's leases: of an operator's pods the one that carries out what the objects say."""
    leases = ns.api.list("coordination.k8s.io/v1", "Lease", namespace)
    return [str(each["spec"].get("holderIdentity", "")) for each in leases]
