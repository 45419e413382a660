"""The verdict from the advertised driver versions and those in containers."""

from __future__ import annotations

from plimsoll.capabilities.driver_runtime_management.records import Advertised, DriverHolder
from plimsoll.capabilities.records import Recorded
from plimsoll.evidence.verdict import Outcome, Verdict, environment_error, failed, passed, unknown

_REMEDY = (
    "have the driver publish its version as an attribute of its devices (DRA), or label nodes by feature discovery"
)


def judge(record: Recorded) -> Verdict:
    """Every node has to advertise one version, the one in its container; the first node that does not decides."""
    advertised = record.all(Advertised)
    holders = {each.on: each for each in record.all(DriverHolder)}
    if not advertised:
        return unknown("no node was tested")
    verdicts = [_of_node(each.node, each.found, holders.get(each.node)) for each in advertised]
    for outcome in (Outcome.FAIL, Outcome.ENVIRONMENT_ERROR, Outcome.UNKNOWN):
        for verdict in verdicts:
            if verdict.outcome is outcome:
                return verdict
    return passed("; ".join(verdict.figure for verdict in verdicts))


def _of_node(node: str, advertised: tuple[str, ...], holder: DriverHolder | None) -> Verdict:
    if not advertised:
        return failed(f"{node}: none", f"{node} advertises no version of its accelerators' driver", _REMEDY)
    if len(advertised) > 1:
        return failed(f"{node}: {', '.join(advertised)}", f"{node} advertises several versions", _REMEDY)
    if holder is None:
        return unknown(f"{node}: no pod was created there")
    if not holder.devices:
        return environment_error(f"{node}: no pod got an accelerator: {holder.unscheduled[:200]}", "free one")
    versions = tuple(line.removeprefix("version ").strip() for line in holder.printed if line.startswith("version "))
    if not any(versions):
        return unknown(f"{node}: a container shows no version", "see 'printed' in the record")
    if versions != advertised:
        return failed(
            f"{node}: {advertised[0]} advertised, {versions[0]} in a container",
            f"{node} advertises another driver than its containers get",
            "restart the driver's feature discovery, or bring driver and runtime to one version",
        )
    return passed(f"{node}: {versions[0]} advertised and seen")
