"""Creates a bad object, its good twin, a good object, and another one after the controller was killed."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from itertools import groupby

from plimsoll.capabilities.facts import ClusterFacts
from plimsoll.capabilities.inventory_records import MutatingWebhooks, ServiceReference, ValidatingWebhooks
from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.capabilities.robust_controller.operators import TRIED, UNTRIED, Operator, present
from plimsoll.capabilities.robust_controller.records import (
    CarriedOut,
    ControllerHealed,
    ControllerKilled,
    OperatorFound,
    OperatorWebhook,
    WorkPod,
)
from plimsoll.evidence.verdict import Verdict, failed, unknown
from plimsoll.kubernetes.api import ApiError, Manifest
from plimsoll.kubernetes.objects import has_condition

_DONE_LIMIT = 120.0
_HEAL_LIMIT = 180.0


def obstacle(facts: ClusterFacts) -> Verdict | None:
    """The probe needs an operator that it knows."""
    if present(facts):
        return None
    if others := [name for group, name in UNTRIED.items() if facts.serves(group)]:
        return unknown(
            f"the cluster has {', '.join(others)}, which plimsoll cannot test yet, and none of {TRIED}",
            "install one of them, or show by hand that a bad object is refused and a lost controller comes back",
        )
    return failed("", f"no known AI operator is installed: none of {TRIED}", "install one of them")


def observe(ns: ProbeNamespace, facts: ClusterFacts) -> None:
    """Test every operator of the cluster."""
    ns.create()
    for operator in present(facts):
        _test(ns, facts, operator)


def _test(ns: ProbeNamespace, facts: ClusterFacts, operator: Operator) -> None:
    found = _find(facts, operator)
    ns.note(found)
    operator.prepare(ns)
    # The prefix is short: KServe makes one label of 63 characters of the names of an object and its namespace.
    prefix = operator.controller
    bad = operator.object(ns, f"{prefix}-bad", found.word)
    ns.accepts(bad, f"{operator.name}: bad")
    if not ns.accepts(operator.object(ns, f"{prefix}-twin", operator.part), f"{operator.name}: twin"):
        return
    _carry_out(ns, operator, f"{prefix}-good", f"{operator.name}: good", _DONE_LIMIT)
    if not found.hooks:
        return
    if _heals(ns, operator, found.hooks[0].service, lambda: _answer_to(ns, bad, found)):
        _carry_out(ns, operator, f"{prefix}-after", f"{operator.name}: after", _HEAL_LIMIT)


def _find(facts: ClusterFacts, operator: Operator) -> OperatorFound:
    """The operator's own webhooks, and those that could be mistaken for them."""
    validating = _in_configurations(facts.webhooks)
    every = [*validating, *_in_configurations(facts.mutating)]
    own = [hook for hook in validating if operator.resource in hook.kinds and operator.controller in hook.service.name]
    names = {hook.name for hook in own}
    return OperatorFound(
        name=operator.name,
        resource=operator.resource,
        hooks=tuple(own),
        others=tuple(hook for hook in every if operator.resource in hook.kinds and hook not in own),
        # Only a configuration's name differs for two webhooks of one name, by which a refusal is recognized.
        namesakes=tuple(hook for hook in every if hook not in own and hook.name in names),
        word=f"nobody-{secrets.token_hex(3)}",
    )


def _in_configurations(
    configurations: Sequence[ValidatingWebhooks] | Sequence[MutatingWebhooks],
) -> list[OperatorWebhook]:
    return [
        OperatorWebhook(
            configuration=each.name,
            name=hook.name,
            service=hook.service,
            url=hook.url,
            policy=hook.policy,
            kinds=hook.kinds,
        )
        for each in configurations
        for hook in each.hooks
    ]


def _carry_out(ns: ProbeNamespace, operator: Operator, name: str, label: str, limit: float) -> None:
    factors = (1_000 + secrets.randbelow(8_000), 1_000 + secrets.randbelow(8_000))
    manifest = operator.object(ns, name, operator.part, f"echo worked out $(({factors[0]}*{factors[1]}))")
    # The webhook of a controller that starts refuses every object for a moment.
    if not ns.wait(f"{name} to be accepted", lambda: ns.accepts(manifest, f"{label} taken"), limit):
        ns.note(CarriedOut(label=label, done=False, factors=factors, pods=()))
        return
    ns.apply(manifest)

    def done() -> bool:
        return operator.done(ns.get(operator.api_version, operator.kind, name))

    ended = ns.wait(f"{name} to be carried out", done, limit)
    pods = tuple(
        WorkPod(phase=each["status"].get("phase"), log=ns.log(each["metadata"]["name"], _container(each))[:200])
        for each in ns.list("v1", "Pod", operator.pods(name))
    )
    ns.note(CarriedOut(label=label, done=bool(ended), factors=factors, pods=pods))


def _container(pod: Manifest) -> str:
    return str(pod["spec"]["containers"][0]["name"])


def _answer_to(ns: ProbeNamespace, bad: Manifest, operator: OperatorFound) -> str:
    """The answer to the bad object now: refused in the operator's name, failed for another reason, or taken."""
    try:
        ns.api.create(ns.labelled(bad), dry_run=True)
    except ApiError as error:
        in_its_name = any(
            error.message.startswith(f'admission webhook "{hook.name}" denied') for hook in operator.hooks
        )
        return "refused" if in_its_name and operator.word in error.message else "failed"
    return "taken"


def _heals(ns: ProbeNamespace, operator: Operator, service: ServiceReference, answer: Callable[[], str]) -> bool:
    """Delete the pods behind the operator's webhook, as the failure of a node does: whether as many come back.

    While they are down, a refusal in their name comes from another webhook, which refuses all along.
    """
    namespace = service.namespace
    chosen = _selector(ns, service)
    selector = ",".join(f"{key}={value}" for key, value in chosen.items())
    pods = ns.api.list("v1", "Pod", namespace, selector) if chosen else []
    before = {pod["metadata"]["uid"]: pod["metadata"]["name"] for pod in pods}
    leaders = _leaders(ns, namespace)
    killed = tuple(before.values())
    ns.note(ControllerKilled(operator=operator.name, namespace=namespace, pods=killed, leaders=leaders))
    if not before:
        return False
    for name in before.values():
        ns.api.delete("v1", "Pod", name, namespace, grace=0)

    said: list[str] = []

    def healed() -> bool:
        said.append(answer())
        pods = ns.api.list("v1", "Pod", namespace, selector)
        ready = [pod for pod in pods if pod["metadata"]["uid"] not in before and has_condition(pod, "Ready")]
        return len(ready) >= len(before)

    back = ns.wait(f"the controller of {operator.name}", healed, _HEAL_LIMIT)
    changes = tuple(key for key, _ in groupby(said))
    ns.note(ControllerHealed(operator=operator.name, back=bool(back), said=changes))
    return bool(back)


def _selector(ns: ProbeNamespace, service: ServiceReference) -> dict[str, str]:
    """The selector of a service; empty for one that does not exist or has none."""
    found = ns.api.find("v1", "Service", service.name, service.namespace)
    return dict(found["spec"].get("selector") or {}) if found else {}


def _leaders(ns: ProbeNamespace, namespace: str) -> tuple[str, ...]:
    """The holders of the namespace's leases: the pod of an operator that carries out the objects holds one."""
    leases = ns.api.list("coordination.k8s.io/v1", "Lease", namespace)
    return tuple(str(each["spec"].get("holderIdentity", "")) for each in leases)
