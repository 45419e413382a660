"""The verdict from bad and good objects, before and after the loss of the controller."""

from __future__ import annotations

import re
from collections.abc import Sequence

from plimsoll.capabilities.records import Attempted, Recorded
from plimsoll.capabilities.robust_controller.records import (
    CarriedOut,
    ControllerHealed,
    ControllerKilled,
    KeptDown,
    OperatorFound,
    leads,
)
from plimsoll.evidence.verdict import Outcome, Verdict, environment_error, failed, passed, unknown

_BUSY = (429, 503, 504)
"""Answers of an API server that is too busy to ask a webhook at all."""


def judge(record: Recorded) -> Verdict:
    """Every operator that plimsoll can test has to pass every step."""
    verdicts = [_of_operator(record, each) for each in record.all(OperatorFound)]
    if not verdicts:
        return unknown("no operator was tested")
    for outcome in (Outcome.FAIL, Outcome.ENVIRONMENT_ERROR, Outcome.UNKNOWN):
        for verdict in verdicts:
            if verdict.outcome is outcome:
                return verdict
    return passed("; ".join(verdict.figure for verdict in verdicts))


def _of_operator(record: Recorded, operator: OperatorFound) -> Verdict:
    name = operator.name
    attempts = {each.label: each for each in record.all(Attempted)}
    bad, twin = attempts.get(f"{name}: bad"), attempts.get(f"{name}: twin")
    carried = {each.label: each for each in record.all(CarriedOut)}
    good, after = carried.get(f"{name}: good"), carried.get(f"{name}: after")
    if not operator.hooks:
        return unknown(f"{name} has no webhook, so that it refuses nothing itself", "install it with its webhooks")
    if bad is None or twin is None:
        return unknown(f"{name}: not every object was tested")
    if busy := next((each for each in (bad, twin) if each.status in _BUSY), None):
        return environment_error(
            f"{name}: the API server answered neither yes nor no: {busy.message[:200]}",
            "try again when it is less busy",
        )
    if bad.taken:
        return failed(
            f"{name}: a bad object was accepted",
            f"{name} did not refuse a bad object",
            "check that the API server calls its webhook",
        )
    if not twin.taken:
        return failed(
            f"{name}: the good twin was refused too",
            f"the API server refuses every object: {twin.message[:200]}",
            "see the cluster's policies",
        )
    refusing = _refusing_webhook(operator, bad.message)
    if refusing is None:
        return unknown(f"{name}: something else refused the bad object: {bad.message[:200]}")
    if good is None:
        return unknown(f"{name}: not every object was tested")
    if problem := _not_carried_out(name, good):
        return problem
    return _healed(record, operator, refusing, after)


def _refusing_webhook(operator: OperatorFound, message: str) -> str | None:
    """The operator's webhook that the API server names in its refusal, when the refusal gives the right reason.

    Others can put those words into a message of theirs, but not at its beginning.
    """
    for hook in operator.hooks:
        if message.startswith(f'admission webhook "{hook.name}" denied the request') and operator.word in message:
            return hook.name
    return None


def _silent_meanwhile(said: Sequence[str]) -> bool:
    """Whether no webhook refused in the operator's name while it was down; `said` has no equal neighbours."""
    down = [number for number, each in enumerate(said) if each != "refused"]
    return bool(down) and "refused" not in said[down[0] : down[-1]]


def _not_carried_out(name: str, carried: CarriedOut) -> Verdict | None:
    if not carried.done:
        return failed(
            f"{name}: a good object was not carried out", f"{name} accepts objects and does nothing", "see its logs"
        )
    one, two = carried.factors
    # The product is in no manifest: a pod that prints it has run the object's script.
    if not any(re.search(rf"\bworked out {one * two}\b", pod.log) for pod in carried.pods):
        return failed(
            f"{name}: {len(carried.pods)} pods, no output",
            f"{name} reports an object as carried out whose pods did nothing",
            "see what else writes the status of its objects",
        )
    return None


def _healed(record: Recorded, operator: OperatorFound, refusing: str, after: CarriedOut | None) -> Verdict:
    name = operator.name
    killed = next((each for each in record.all(ControllerKilled) if each.operator == name), None)
    healed = next((each for each in record.all(ControllerHealed) if each.operator == name), None)
    if killed is None:
        return unknown(f"{name}: its controller was not killed")
    if doubt := _carried_out_by_another(record, name, refusing, killed):
        return doubt
    if healed is None or (healed.back and after is None):
        return unknown(f"{name}: the test of its recovery did not end")
    if operator.namesakes and not _silent_meanwhile(healed.said):
        return unknown(
            f"{name}: {operator.namesakes[0].configuration} has a webhook called {refusing} too, and bad objects were "
            "refused in that name while the operator's was down"
        )
    if after is None or _not_carried_out(name, after):
        return failed(
            f"{name}: not healed", f"{name} did not recover from the loss of its controller", "see its deployment"
        )
    return passed(f"{name}: refused by {refusing}, carried out before and after its controller was killed")


def _carried_out_by_another(record: Recorded, name: str, refusing: str, killed: ControllerKilled) -> Verdict | None:
    """The doubt that other pods than those behind the webhook carry out the objects; None when they do it."""
    if leads(killed.pods, killed.leaders):
        return None
    where = f"{name}: none of the pods behind {refusing} leads in {killed.namespace}"
    remedy = "see the service of the webhook, and enable leader election"
    kept = next((each for each in record.all(KeptDown) if each.operator == name), None)
    held = next((each for each in record.all(CarriedOut) if each.label == f"{name}: held"), None)
    if kept is None or not kept.worked:
        return unknown(f"{where}, and no object was seen to wait for them: another program may carry them out", remedy)
    if kept.done:
        return unknown(f"{where}, and an object was carried out while they were down: another program does it", remedy)
    if held is None:
        return unknown(f"{name}: the test of its recovery did not end")
    return _not_carried_out(name, held)
