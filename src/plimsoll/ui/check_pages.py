"""What the pages of checks show: the bundles of a directory, their verdicts, and the evidence for each."""

from __future__ import annotations

from pathlib import Path

import msgspec

from plimsoll.capabilities.bundle_reader import Bundle, open_bundle
from plimsoll.capabilities.checking import PROBES, VERDICTS, Judged, read_description
from plimsoll.capabilities.requirements import MUST, REQUIREMENTS
from plimsoll.decoding import UNREADABLE
from plimsoll.errors import PlimsollError
from plimsoll.evidence.journal import read_journal
from plimsoll.evidence.timeline import span, timeline
from plimsoll.report.hull import AREAS, is_met
from plimsoll.signing.keys import KeyRing
from plimsoll.ui.places import bundles


def checks_page(directory: Path) -> dict[str, object]:
    """All bundles of a directory with the verdicts that are written in them, the newest first."""
    rows = [_row(path) for path in bundles(directory)]
    return {"checks": sorted(rows, key=lambda row: str(row["began"]), reverse=True)}


def check_page(directory: Path, name: str) -> dict[str, object]:
    """One bundle, judged again from its records. Raises PlimsollError when it cannot be judged."""
    bundle = open_bundle(_path(directory, name), KeyRing.default())
    return {
        **_row(bundle.path),
        "problems": bundle.problems,
        "signer": bundle.signer,
        "ended": bundle.ended,
        "verdicts": [_verdict(bundle, each) for each in bundle.judged],
    }


def evidence_page(directory: Path, name: str, requirement: str, *, offset: int, limit: int) -> dict[str, object]:
    """A page of the observations of one requirement. Raises PlimsollError when there are none of that name."""
    path = _path(directory, name) / PROBES / f"{requirement}.jsonl"
    if requirement not in REQUIREMENTS or not path.is_file():
        raise PlimsollError(f"the bundle has no record of '{requirement}'", where=name)
    lines = timeline(tuple(read_journal(path)))
    shown = [[line.after, line.event, line.words, line.detail] for line in lines[offset : offset + limit]]
    return {"total": len(lines), "lines": shown}


def _path(directory: Path, name: str) -> Path:
    for path in bundles(directory):
        if path.name == name:
            return path
    raise PlimsollError(f"there is no evidence bundle '{name}'", where=str(directory))


def _row(path: Path) -> dict[str, object]:
    """What the list shows of a bundle; a check that goes on or was broken off has no verdicts yet."""
    row: dict[str, object] = {"name": path.name, "began": "", "profile": "", "cluster": "", "target": "", "problem": ""}
    try:
        described = read_description(path)
        row |= {
            "began": described.began,
            "profile": described.profile,
            "cluster": described.cluster,
            "target": described.target,
            "version": described.version,
        }
        judged = msgspec.json.decode((path / VERDICTS).read_bytes(), type=list[Judged])
    except (*UNREADABLE, OSError):
        return {**row, "problem": "not complete", "musts": 0, "shown": 0}
    musts = [each for each in judged if each.level == MUST]
    return {**row, "musts": len(musts), "shown": len([each for each in musts if is_met(each)])}


def _verdict(bundle: Bundle, judged: Judged) -> dict[str, object]:
    asked, record = REQUIREMENTS[judged.requirement], bundle.records[judged.requirement]
    times = span(record)
    return {
        "requirement": judged.requirement,
        "level": judged.level,
        "area": AREAS.get(asked.category, asked.category),
        "asked": asked.summary,
        "outcome": judged.verdict.outcome.value,
        "figure": judged.verdict.figure,
        "cause": judged.verdict.cause,
        "remedy": judged.verdict.remedy,
        "observations": len(record),
        "seconds": (times[1] - times[0]).total_seconds() if times else 0.0,
    }
