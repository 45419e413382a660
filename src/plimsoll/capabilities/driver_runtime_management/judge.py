"""What was advertised, and what was seen."""

from __future__ import annotations

from collections.abc import Sequence

from plimsoll.capabilities.probe import events
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.verdict import Outcome, Verdict, environment_error, failed, passed, unknown

_REMEDY = (
    "have the driver publish its version as an attribute of its devices (DRA), or label nodes by feature discovery"
)


def judge(record: Sequence[Observation]) -> Verdict:
    """One version a node, and the same in the container; every node has to agree, the first that does not decides."""
    advertised = events(record, "advertised")
    seen = {each["on"]: each for each in events(record, "holder")}
    if not advertised:
        return unknown("no node was looked at")
    verdicts = [_of_node(each["node"], each["found"], seen.get(each["node"])) for each in advertised]
    for outcome in (Outcome.FAIL, Outcome.ENVIRONMENT_ERROR, Outcome.UNKNOWN):
        for verdict in verdicts:
            if verdict.outcome is outcome:
                return verdict
    return passed("; ".join(verdict.figure for verdict in verdicts))


def _of_node(node: str, advertised: list[str], holder: dict[str, object] | None) -> Verdict:
    if not advertised:
        return failed(f"{node}: none", f"{node} advertises no version of its accelerators' driver", _REMEDY)
    if len(advertised) > 1:
        return failed(f"{node}: {', '.join(advertised)}", f"{node} advertises several versions", _REMEDY)
    if holder is None:
        return unknown(f"{node}: no pod was made there")
    if not holder["devices"]:
        return environment_error(f"{node}: no pod got an accelerator: {str(holder['unscheduled'])[:200]}", "free one")
    printed = holder["printed"]
    versions = (
        [str(line).removeprefix("version ").strip() for line in printed if str(line).startswith("version ")]
        if isinstance(printed, list)
        else []
    )
    if not any(versions):
        return unknown(f"{node}: no version is to be seen in a container", "look at the record's 'printed'")
    if versions != advertised:
        return failed(
            f"{node}: {advertised[0]} advertised, {versions[0]} in a container",
            f"{node} advertises another driver than its containers get",
            "restart the driver's feature discovery, or bring driver and runtime to one version",
        )
    return passed(f"{node}: {versions[0]} advertised and seen")
