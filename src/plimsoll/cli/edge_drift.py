"""The drift of a group's devices, for `plimsoll edge drift`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from plimsoll.cli.edge_groups import EdgeGroups
from plimsoll.edge.documents import UploadRule
from plimsoll.edge.drift_view import GroupDrift, write_drift

if TYPE_CHECKING:
    from plimsoll.edge.drifting import Watched
    from plimsoll.edge.sent_lines import Sent
    from plimsoll.state.directory import StateDirectory


def judged(
    groups: EdgeGroups, group: str, logs: Path, labels: Path | None, hours: float
) -> tuple[GroupDrift, list[str]]:
    """The drift of what devices have sent, kept for `show`, `list` and the page, and what could not be judged.

    Raises FileError, and MissingExtra without the extra `drift`.
    """
    from plimsoll.edge.drifting import judge_drift
    from plimsoll.edge.sent_lines import read_labels, sent_by
    from plimsoll.state.directory import StateDirectory
    from plimsoll.telemetry.drift.statistics import scipy_special

    scipy_special()
    fleet = groups.owner(group).fleet()
    rule = fleet.state.upload if fleet.state else UploadRule()
    state = StateDirectory(groups.file.absolute().parent)
    watched, notes = _Versions(state), []
    if rule.sample is None and not rule.all:
        notes.append("what `upload` chooses is not like what was answered: add `sample: 5%` to judge the drift by it")
    late = read_labels(labels) if labels is not None else {}
    since = datetime.now(UTC) - timedelta(hours=hours)
    here = [each for each in fleet.devices.values() if not each.moved]
    sent = {each.name: watched.seen(sent_by(each, logs, rule, since)) for each in here}
    found = judge_drift(sent, watched, late)
    notes += [f"{each} has no reference: give its service drift: {{reference: …}}, and run" for each in watched.without]
    write_drift(state.root, group, found)
    return found, notes


class _Versions(dict[str, "Watched"]):
    """The versions that can be compared, by digest; read when the first answer of each comes."""

    def __init__(self, state: StateDirectory) -> None:
        super().__init__()
        self.without: dict[str, None] = {}
        self._state = state
        self._known: set[str] = set()

    def seen(self, answers: Iterator[Sent]) -> Iterator[Sent]:
        """The answers, with the reference of each read before it."""
        for each in answers:
            if each.digest not in self._known:
                self._known.add(each.digest)
                self._read(each)
            yield each

    def _read(self, each: Sent) -> None:
        from plimsoll.edge.drifting import Watched
        from plimsoll.targets.models import model_registry
        from plimsoll.targets.services import PROMISED
        from plimsoll.telemetry.drift.build_reference import read_reference
        from plimsoll.telemetry.drift.reference_file import model_of_reference

        paths = sorted(self._state.drift.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        path = next((path for path in paths if model_of_reference(path) == each.digest), None)
        if path is None:
            self.without[f"{each.model}@{each.version}"] = None
            return
        versions = {one.digest: one for one in model_registry(self._state).versions()}
        promised = versions[each.digest].metrics.get(PROMISED) if each.digest in versions else None
        self[each.digest] = Watched(reference=read_reference(path), promised=promised)


def drift_lines(found: GroupDrift) -> Iterator[str]:
    """For people: all devices together, and those that differ from training."""
    if not found.together:
        yield "no answers to compare; fetch them with plimsoll edge logs, from services with audit and payloads"
        return
    for each in found.together:
        for line in each.lines():
            yield f"{each.model}@{each.version} on all devices: {line}"
    for device, states in sorted(found.devices.items()):
        for each in states:
            for alarm in each.alarms:
                yield f"  {device}: {alarm}"
