"""What became of the objects."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from plimsoll.capabilities.probe import events
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.verdict import Outcome, Verdict, failed, passed, unknown


def judge(record: Sequence[Observation]) -> Verdict:
    """Every operator that can be tried has to do all of it: a sound one beside a broken one makes up for nothing."""
    verdicts = [_of_operator(record, each) for each in events(record, "operator")]
    if not verdicts:
        return unknown("no operator was tried")
    for outcome in (Outcome.FAIL, Outcome.ENVIRONMENT_ERROR, Outcome.UNKNOWN):
        for verdict in verdicts:
            if verdict.outcome is outcome:
                return verdict
    return passed("; ".join(verdict.figure for verdict in verdicts))


def _of_operator(record: Sequence[Observation], operator: dict[str, Any]) -> Verdict:
    name = operator["name"]
    attempts = {each["label"]: each for each in events(record, "attempt")}
    bad, twin = attempts.get(f"{name}: bad"), attempts.get(f"{name}: twin")
    carried = {each["label"]: each for each in events(record, "carried-out")}
    good, after = carried.get(f"{name}: good"), carried.get(f"{name}: after")
    if not operator["hooks"]:
        return unknown(
            f"{name} has no webhook, so that it cannot be seen to refuse anything itself",
            "install it with its webhooks",
        )
    if bad is None or twin is None:
        return unknown(f"{name}: not every object was tried")
    if bad["taken"]:
        return failed(
            f"{name}: a bad object was taken", f"{name} did not refuse a bad object", "see that its webhook is called"
        )
    if not twin["taken"]:
        return failed(
            f"{name}: the good twin was refused too",
            f"everything is refused: {twin['message'][:200]}",
            "see the policies in the way",
        )
    refusing = _refusing(operator, bad["message"])
    if refusing is None:
        return unknown(f"{name}: the bad object was refused by something else: {bad['message'][:200]}")
    if good is None:
        return unknown(f"{name}: not every object was tried")
    if problem := _not_carried_out(name, good):
        return problem
    return _healed(record, name, refusing, after, [each["configuration"] for each in operator["namesakes"]])


def _refusing(operator: dict[str, Any], message: str) -> str | None:
    """The operator's webhook in whose name the API server itself says that it refused, for the reason that there is.

    Others can put those words into a message of theirs, but not at its beginning.
    """
    for hook in operator["hooks"]:
        if message.startswith(f'admission webhook "{hook["name"]}" denied the request') and operator["word"] in message:
            return str(hook["name"])
    return None


def _silent_meanwhile(said: Sequence[str]) -> bool:
    """Whether nobody refused in the operator's name between its end and its return; `said` has no neighbours alike."""
    down = [number for number, each in enumerate(said) if each != "refused"]
    return bool(down) and "refused" not in said[down[0] : down[-1]]


def _not_carried_out(name: str, carried: dict[str, Any]) -> Verdict | None:
    if not carried["done"]:
        return failed(
            f"{name}: a good object was not carried out", f"{name} takes objects and does nothing", "see its logs"
        )
    a, b = carried["factors"]
    # The number stands in no manifest: whoever prints it has run the object's script.
    if not any(re.search(rf"\bworked out {a * b}\b", pod["log"]) for pod in carried["pods"]):
        return failed(
            f"{name}: {len(carried['pods'])} pods, no output",
            f"{name} says that an object was carried out whose pods did nothing",
            "see who else writes its objects' status",
        )
    return None


def _healed(
    record: Sequence[Observation], name: str, refusing: str, after: dict[str, Any] | None, namesakes: list[str]
) -> Verdict:
    killed = next((each for each in events(record, "killed") if each["operator"] == name), None)
    healed = next((each for each in events(record, "healed") if each["operator"] == name), None)
    if killed is None:
        return unknown(f"{name}: its controller was not killed")
    if not any(leader.startswith(f"{pod}_") for pod in killed["pods"] for leader in killed["leaders"]):
        return unknown(
            f"{name}: none of the pods behind {refusing} leads in {killed['namespace']}: "
            "who refuses may be another than who carries out",
            "see the service of the webhook, and switch on leader election",
        )
    if healed is None or (healed["back"] and after is None):
        return unknown(f"{name}: its controller was not killed to its end")
    if namesakes and not _silent_meanwhile(healed["said"]):
        return unknown(
            f"{name}: {namesakes[0]} has a webhook called {refusing} too, and bad objects were refused in that name "
            "while the operator's was down"
        )
    if after is None or _not_carried_out(name, after):
        return failed(
            f"{name}: not healed", f"{name} did not recover from the loss of its controller", "see its deployment"
        )
    return passed(f"{name}: refused by {refusing}, carried out before and after its controller was killed")
