"""Whether requests went where the picker sends them, and only because of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plimsoll.capabilities.probe import events
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.verdict import Verdict, environment_error, failed, passed, unknown

PICKED = {
    "first": "requests do not go to the server that holds their model",
    "second": "requests do not go to the server that holds their model",
    "moved": "requests do not follow a model that has moved to the other server",
    "queued": "requests for a model that nobody holds do not go to the shorter queue",
}
PAST, ALONE = "past the pool", "without a picker"


def judge(record: Sequence[Observation]) -> Verdict:
    """Every answer must come from the server that the picker had to choose; the controls must come out otherwise."""
    servers = events(record, "servers")
    if not servers or not servers[0]["ready"]:
        return environment_error("the model servers or the picker did not start", "see the pods' events in the record")
    if not events(record, "gateway"):
        refused = "; ".join(f"{each['gateway']}: {each['said']}" for each in events(record, "refused"))
        return failed(
            "",
            f"no gateway took an InferencePool as a route's backend ({refused or 'none came up'})",
            "use a gateway that implements the Inference Extension, or switch its support on",
        )
    measured = {each["case"]: each for each in events(record, "measured")}
    if not {*PICKED, PAST, ALONE} <= set(measured):
        return unknown("not every measurement was made")
    names = set(servers[0]["names"])
    if problem := _control(measured[PAST], names):
        return problem
    for case, words in PICKED.items():
        if problem := _picked(measured[case], words, names):
            return problem
    if problem := _alone(measured[ALONE], names):
        return problem
    first, second, moved, queued = (f"{measured[case]['asked']}" for case in PICKED)
    return passed(
        f"{first} and {second} requests to the servers of two models, {moved} after one moved, {queued} to the shorter "
        "queue; none without the picker"
    )


def _control(measured: dict[str, Any], names: set[str]) -> Verdict | None:
    if set(measured["answers"]) != names:
        return unknown(
            f"the control failed: past the pool requests are answered by {_said(measured)}, so that where they go "
            "with it says nothing"
        )
    return None


def _picked(measured: dict[str, Any], words: str, names: set[str]) -> Verdict | None:
    answers, count = measured["answers"], measured["asked"]
    if not names & set(answers):
        return failed(f"{measured['case']}: {_said(measured)}", "no request reached a model server", "see its logs")
    if answers != {measured["server"]: count}:
        return failed(f"{measured['case']}: {_said(measured)}", words, "see whether the gateway asks the pool's picker")
    if measured["arrived"].get(measured["server"], 0) < count:
        return failed(
            f"{measured['case']}: {count} answers, {measured['arrived'].get(measured['server'], 0)} requests arrived",
            "requests were answered in a server's name by something else",
            "see what stands behind the gateway's address",
        )
    return None


def _alone(measured: dict[str, Any], names: set[str]) -> Verdict | None:
    reached = sum(measured["arrived"].values())
    if names & set(measured["answers"]) or reached:
        return failed(
            f"without a picker: {_said(measured)}",
            "requests reach the pool although its picker is gone and the pool is to fail closed",
            "see whether the gateway asks the pool's picker at all",
        )
    return None


def _said(measured: dict[str, Any]) -> str:
    return ", ".join(f"{count} × {who}" for who, count in sorted(measured["answers"].items())) or "nothing"
