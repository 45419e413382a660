"""Derives the answer to each requirement from an evidence bundle. Pure.

A requirement that the bundle shows gets a status. Any other stays blank, with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from plimsoll.capabilities.bundle_reader import Bundle
from plimsoll.capabilities.checking import PROBES, Judged
from plimsoll.capabilities.requirements import MUST, REQUIREMENTS
from plimsoll.evidence.timeline import namespaces, span
from plimsoll.evidence.verdict import Outcome
from plimsoll.submission.artifacts import SUITE_TESTS, UNMAPPED_TESTS, Artifact, SuiteResult
from plimsoll.submission.version_requirements import MUSTS_THAT_ACCEPT_NA

BUNDLE_DIRECTORY, PAGES_DIRECTORY = "bundle", "evidence"
_TIME = "%Y-%m-%d %H:%M:%S"


class RequirementAnswer(Struct, frozen=True, kw_only=True):
    """The answer to one requirement. When `status` is blank, `why` says the reason.

    `evidence` holds paths relative to the submission's directory.
    """

    requirement: str
    level: str
    status: str = ""
    evidence: tuple[str, ...] = ()
    notes: str = ""
    why: str = ""

    @property
    def is_unanswered_must(self) -> bool:
        """Whether this is a MUST without a status."""
        return self.level == MUST and not self.status


def answer_requirements(bundle: Bundle, artifacts: Mapping[str, Artifact]) -> list[RequirementAnswer]:
    """Answer every requirement of the bundle's profile. `artifacts` are the official suite's, by file name."""
    return [_answer(bundle, each, artifacts) for each in bundle.judged]


def _answer(bundle: Bundle, judged: Judged, artifacts: Mapping[str, Artifact]) -> RequirementAnswer:
    name, verdict = judged.requirement, judged.verdict
    test = SUITE_TESTS.get(name, "")
    suite_results = {file: found.result_of(test) for file, found in artifacts.items()} if test else {}
    if name in UNMAPPED_TESTS:
        # The validator does not ask for this test, so that its absence says nothing.
        suite_results = {file: result for file, result in suite_results.items() if result is not SuiteResult.ABSENT}
    failed = [file for file, result in suite_results.items() if result is SuiteResult.FAILED]
    if failed and verdict.outcome in (Outcome.PASS, Outcome.NOT_APPLICABLE):
        why = f"plimsoll: {verdict.outcome.value}, but {test} of the official suite failed ({failed[0]})"
        return RequirementAnswer(requirement=name, level=judged.level, why=why)
    accepts_na = judged.level != MUST or name in MUSTS_THAT_ACCEPT_NA
    if verdict.outcome is Outcome.PASS or (verdict.outcome is Outcome.NOT_APPLICABLE and accepts_na):
        passed = [file for file, result in suite_results.items() if result is SuiteResult.PASSED]
        own = (f"{PAGES_DIRECTORY}/{name}.md", f"{BUNDLE_DIRECTORY}/{PROBES}/{name}.jsonl")
        return RequirementAnswer(
            requirement=name,
            level=judged.level,
            status="Implemented" if verdict.outcome is Outcome.PASS else "N/A",
            evidence=(*own, *(f"{file}#{test}" for file in passed)),
            notes="\n".join(_notes(bundle, judged, suite_results)),
        )
    if verdict.outcome is Outcome.NOT_IMPLEMENTED and judged.level != MUST:
        notes = f"{verdict.cause[:1].upper()}{verdict.cause[1:]}."
        return RequirementAnswer(requirement=name, level=judged.level, status="Not Implemented", notes=notes)
    return RequirementAnswer(requirement=name, level=judged.level, why=_why_blank(judged, accepts_na))


def _why_blank(judged: Judged, accepts_na: bool) -> str:
    verdict = judged.verdict
    parts = [f"plimsoll: {verdict.outcome.value}"]
    parts += [part for part in (verdict.figure, verdict.cause) if part]
    if verdict.outcome is Outcome.NOT_APPLICABLE and not accepts_na:
        parts.append("the official validator does not accept N/A for this MUST")
    if verdict.remedy:
        parts.append(f"remedy: {verdict.remedy}")
    return "; ".join(parts)


def _notes(bundle: Bundle, judged: Judged, suite_results: Mapping[str, SuiteResult]) -> list[str]:
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
        f"Record: {BUNDLE_DIRECTORY}/{PROBES}/{name}.jsonl, {len(record)} observations with times; "
        f"`plimsoll verify {BUNDLE_DIRECTORY}` judges them again."
    )
    if suite_results:
        results = ", ".join(f"{file}: {result.value}" for file, result in suite_results.items())
        lines.append(f"Results of {SUITE_TESTS[name]} in the official suite's unchanged files: {results}.")
    return lines


def exit_status(answers: Sequence[RequirementAnswer], refused: Mapping[str, str]) -> int:
    """The exit status of `plimsoll submit`.

    It is 3 when a MUST has no answer or an official artefact was refused, else 0.
    """
    return 3 if refused or any(each.is_unanswered_must for each in answers) else 0
