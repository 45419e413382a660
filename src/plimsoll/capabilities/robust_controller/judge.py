"""What became of the objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plimsoll.capabilities.probe import events
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.verdict import Outcome, Verdict, failed, passed, unknown


def judge(record: Sequence[Observation]) -> Verdict:
    """One operator that does all of it is enough; else the first one's verdict."""
    verdicts = [_of_operator(record, each) for each in events(record, "operator")]
    if not verdicts:
        return unknown("no operator was tried")
    good = [each.figure for each in verdicts if each.outcome is Outcome.PASS]
    return passed("; ".join(good)) if good else verdicts[0]


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
    if bad is None or twin is None or good is None:
        return unknown(f"{name}: not every object was tried")
    if bad["taken"]:
        return failed(
            f"{name}: a bad object was taken", f"{name} did not refuse a bad object", "see that its webhook is called"
        )
    own = [hook["name"] for hook in operator["hooks"]]
    refusing = next((hook for hook in own if f'admission webhook "{hook}" denied the request' in bad["message"]), None)
    if not twin["taken"]:
        return failed(
            f"{name}: the good twin was refused too",
            f"everything is refused: {twin['message'][:200]}",
            "see the policies in the way",
        )
    if refusing is None or operator["word"] not in bad["message"]:
        return unknown(f"{name}: the bad object was refused by something else: {bad['message'][:200]}")
    if not good["done"]:
        return failed(
            f"{name}: a good object was not carried out", f"{name} takes objects and does nothing", "see its logs"
        )
    healed = next((each for each in events(record, "healed") if each["operator"] == name), None)
    if healed is None or after is None:
        return unknown(f"{name}: its controller was not killed to its end")
    if not healed["back"] or not after["done"]:
        return failed(
            f"{name}: not healed", f"{name} did not recover from the loss of its controller", "see its deployment"
        )
    return passed(f"{name}: refused by {refusing}, carried out before and after its controller was killed")
