"""Creates a bad object, its good twin, a good object, and another one after the controller was killed."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from itertools import groupby

from plimsoll.capabilities.facts import ClusterFacts
from plimsoll.capabilities.inventory_records import MutatingWebhooks, ServiceReference, ValidatingWebhooks
from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.capabilities.robust_controller import outage
from plimsoll.capabilities.robust_controller.operators import TRIED, UNTRIED, Operator, present
from plimsoll.capabilities.robust_controller.records import (
    ControllerHealed,
    ControllerKilled,
    OperatorFound,
    OperatorWebhook,
    leads,
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
    if work := outage.begin(ns, operator, name, label, limit):
        outage.finish(ns, work, limit)


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

    While they are down, a refusal in their name comes from another webhook, which refuses all along. When none of them
    leads, they are kept down for a while: see `outage`.
    """
    controller = _Controller(ns, service)
    names = tuple(controller.names())
    leaders = _leaders(ns, service.namespace)
    held = None
    if names and not leads(names, leaders):
        held = outage.start_held(ns, operator, operator.controller)
    ns.note(ControllerKilled(operator=operator.name, namespace=service.namespace, pods=names, leaders=leaders))
    if not names:
        return False
    said: list[str] = []

    def kill() -> None:
        controller.kill()
        said.append(answer())

    controller.kill()
    if held:
        outage.keep_down(ns, held, kill)

    def healed() -> bool:
        said.append(answer())
        return controller.ready() >= len(names)

    back = ns.wait(f"the controller of {operator.name}", healed, _HEAL_LIMIT)
    changes = tuple(key for key, _ in groupby(said))
    ns.note(ControllerHealed(operator=operator.name, back=bool(back), said=changes))
    if held and back:
        outage.finish(ns, held, _DONE_LIMIT)
    return bool(back)


class _Controller:
    """The pods behind a service; those that were deleted do not count any more."""

    def __init__(self, ns: ProbeNamespace, service: ServiceReference) -> None:
        self._ns = ns
        self._namespace = service.namespace
        self._selector = ",".join(f"{key}={value}" for key, value in _selector(ns, service).items())
        self._deleted: set[str] = set()

    def _pods(self) -> dict[str, Manifest]:
        if not self._selector:
            return {}
        pods = self._ns.api.list("v1", "Pod", self._namespace, self._selector)
        return {uid: each for each in pods if (uid := each["metadata"]["uid"]) not in self._deleted}

    def names(self) -> list[str]:
        return [each["metadata"]["name"] for each in self._pods().values()]

    def kill(self) -> None:
        for uid, each in self._pods().items():
            self._ns.api.delete("v1", "Pod", each["metadata"]["name"], self._namespace, grace=0)
            self._deleted.add(uid)

    def ready(self) -> int:
        return sum(has_condition(each, "Ready") for each in self._pods().values())


def _selector(ns: ProbeNamespace, service: ServiceReference) -> dict[str, str]:
    """The selector of a service; empty for one that does not exist or has none."""
    found = ns.api.find("v1", "Service", service.name, service.namespace)
    return dict(found["spec"].get("selector") or {}) if found else {}


def _leaders(ns: ProbeNamespace, namespace: str) -> tuple[str, ...]:
    """The holders of the namespace's leases: the pod of an operator that carries out the objects holds one."""
    leases = ns.api.list("coordination.k8s.io/v1", "Lease", namespace)
    return tuple(str(each["spec"].get("holderIdentity", "")) for each in leases)
