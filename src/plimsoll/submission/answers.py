"""What a bundle lets one answer: a status for what was shown, and a reason why the rest is left blank. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from plimsoll.capabilities.bundle_reader import Bundle
from plimsoll.capabilities.checking import PROBES, Judged
from plimsoll.capabilities.requirements import MUST, REQUIREMENTS
from plimsoll.evidence.timeline import namespaces, span
from plimsoll.evidence.verdict import Outcome
from plimsoll.submission.artifacts import TESTS, Artifact, Result
from plimsoll.submission.expected import MAY_NOT_APPLY

BUNDLE, PAGES = "bundle", "evidence"
_TIME = "%Y-%m-%d %H:%M:%S"


class Answer(Struct, frozen=True, kw_only=True):
    """One requirement's answer. A blank `status` has the reason in `why`."""

    requirement: str
    level: str
    status: str = ""
    evidence: tuple[str, ...] = ()
    notes: str = ""
    why: str = ""

    @property
    def open(self) -> bool:
        """Whether a MUST is left without an answer."""
        return self.level == MUST and not self.status


def answers(bundle: Bundle, official: Mapping[str, Artifact]) -> list[Answer]:
    """An answer for every requirement of the bundle's profile. `official` are the suite's artefacts by file name."""
    return [_answer(bundle, each, official) for each in bundle.judged]


def _answer(bundle: Bundle, judged: Judged, official: Mapping[str, Artifact]) -> Answer:
    name, verdict = judged.requirement, judged.verdict
    theirs = {file: found.of(TESTS[name]) for file, found in official.items()} if name in TESTS else {}
    failed = [file for file, result in theirs.items() if result is Result.FAILED]
    if failed and verdict.outcome in (Outcome.PASS, Outcome.NOT_APPLICABLE):
        why = f"plimsoll: {verdict.outcome.value}, but the official suite's {TESTS[name]} failed ({failed[0]})"
        return Answer(requirement=name, level=judged.level, why=why)
    may = judged.level != MUST or name in MAY_NOT_APPLY
    if verdict.outcome is Outcome.PASS or (verdict.outcome is Outcome.NOT_APPLICABLE and may):
        passed = [file for file, result in theirs.items() if result is Result.PASSED]
        own = (f"{PAGES}/{name}.md", f"{BUNDLE}/{PROBES}/{name}.jsonl")
        return Answer(
            requirement=name,
            level=judged.level,
            status="Implemented" if verdict.outcome is Outcome.PASS else "N/A",
            evidence=(*own, *(f"{file}#{TESTS[name]}" for file in passed)),
            notes="\n".join(_notes(bundle, judged, theirs)),
        )
    return Answer(requirement=name, level=judged.level, why=_why(judged, may))


def _why(judged: Judged, may_not_apply: bool) -> str:
    verdict = judged.verdict
    parts = [f"plimsoll: {verdict.outcome.value}"]
    parts += [part for part in (verdict.figure, verdict.cause) if part]
    if verdict.outcome is Outcome.NOT_APPLICABLE and not may_not_apply:
        parts.append("the official validator does not take N/A for this MUST")
    if verdict.remedy:
        parts.append(f"remedy: {verdict.remedy}")
    return "; ".join(parts)


def _notes(bundle: Bundle, judged: Judged, theirs: Mapping[str, Result]) -> list[str]:
    name, verdict, record = judged.requirement, judged.verdict, bundle.records[judged.requirement]
    if verdict.outcome is Outcome.PASS:
        lines = [f"Shown by behaviour ({REQUIREMENTS[name].summary}): {verdict.figure}."]
    else:
        lines = [f"The requirement's condition does not hold: {verdict.cause}."]
    times = span(record)
    when = f"{times[0]:{_TIME}} to {times[1]:%H:%M:%S} UTC" if times else "no time recorded"
    where = f", namespace {', '.join(namespaces(record))}" if namespaces(record) else ""
    lines.append(f"{bundle.description.tool} on Kubernetes {bundle.description.version}, {when}{where}.")
    lines.append(
        f"Record: {BUNDLE}/{PROBES}/{name}.jsonl, {len(record)} observations with times; "
        f"`plimsoll verify {BUNDLE}` judges them again."
    )
    if theirs:
        said = ", ".join(f"{file}: {result.value}" for file, result in theirs.items())
        lines.append(f"The official suite's own {TESTS[name]}, in its untouched files: {said}.")
    return lines


def status_of(found: Sequence[Answer], refused: Mapping[str, str]) -> int:
    """The exit status: 3 when a MUST is left open or an official artefact was not taken in."""
    return 3 if refused or any(each.open for each in found) else 0
