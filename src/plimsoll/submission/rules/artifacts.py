"""Rules for the official suite's artefacts. The programme asks for them since 1.37; every version is checked."""

from __future__ import annotations

from collections.abc import Iterator

from plimsoll.submission.artifacts import ARTIFACT_NAMES, OFFICIAL_TESTS, SUITE_TESTS, UNMAPPED_TESTS, SuiteResult
from plimsoll.submission.finding import RuleMatch, Severity
from plimsoll.submission.questionnaire import EvidenceItem, QuestionnaireEntry
from plimsoll.submission.rules.context import RuleContext
from plimsoll.submission.rules.status import IMPLEMENTED
from plimsoll.submission.submission_files import CitedFile
from plimsoll.submission.version_requirements import effective_version

ADVISED_SINCE = (1, 37)
RUN_AGAIN = "fix the failure and run the suite again"


def artifact_unreadable(context: RuleContext) -> Iterator[RuleMatch]:
    """A file with an artefact's name must hold results of the official suite."""
    reported = set()
    for entry, item, file in _cited_artifacts(context):
        problem = context.files.unreadable.get(file.path)
        if problem and file.path not in reported:
            reported.add(file.path)
            why = f"{file.path} does not hold results of the official suite: {problem}"
            fix = "cite the file that the suite wrote, or give this one another name"
            yield context.at_path(item.path, why, fix, entry)


def artifact_failing(context: RuleContext) -> Iterator[RuleMatch]:
    """An artefact must have no failed test."""
    checked = set()
    for entry, item, file in _cited_artifacts(context):
        artifact = context.files.artifacts.get(file.path)
        if artifact and artifact.failures and file.path not in checked:
            why = f"{file.path} has failed tests: {', '.join(artifact.failures[:5])}"
            yield context.at_path(item.path, why, RUN_AGAIN, entry)
        checked.add(file.path)
    for path, artifact in context.files.artifacts.items():
        if artifact.failures and path not in checked:
            why = f"{path} is not cited and has failed tests: {', '.join(artifact.failures[:5])}"
            yield context.at_path((), why, "explain the failures, or remove the file", severity=Severity.WARNING)


def artifact_test_absent(context: RuleContext) -> Iterator[RuleMatch]:
    """A cited artefact must contain the requirement's test, and the test must have passed."""
    for entry, item, file, test in _cited_tests(context):
        result = context.files.artifacts[file.path].result_of(test)
        if result is SuiteResult.ABSENT:
            why = f"{file.path} does not contain {test}, the test cited for {entry.id}"
            yield context.at_path(item.path, why, "run that test too, or cite other evidence", entry)
        elif result is SuiteResult.FAILED:
            yield context.at_path(item.path, f"{test} failed in {file.path}", RUN_AGAIN, entry)


def artifact_test_skipped(context: RuleContext) -> Iterator[RuleMatch]:
    """The test of an Implemented requirement must not be skipped."""
    for entry, item, file, test in _cited_tests(context):
        result = context.files.artifacts[file.path].result_of(test)
        if entry.status == IMPLEMENTED and result is SuiteResult.SKIPPED:
            why = f"{entry.name} is Implemented, but {test} was skipped in {file.path}"
            yield context.at_path(item.path, why, "provide what the test needs and run it again", entry)


def artifact_wrong_test(context: RuleContext) -> Iterator[RuleMatch]:
    """A fragment must name the requirement's own test, because the validator accepts any test that passed."""
    for entry, item, file in _cited_artifacts(context):
        cited = file.fragment.partition("/")[0]
        official = SUITE_TESTS.get(entry.id, "")
        if not cited or cited == official or (not official and cited not in SUITE_TESTS.values()):
            continue
        if official:
            why = f"#{cited} is not the test of {entry.id}, which is {official}"
            yield context.at_path(item.path, why, f"write #{official}", entry)
        else:
            why = f"#{cited} is not a test of {entry.id}"
            yield context.at_path(item.path, why, "remove the fragment", entry)


def artifact_unmapped(context: RuleContext) -> Iterator[RuleMatch]:
    """The validator does not look for the tests of some requirements yet; a fragment makes it look."""
    for entry, item, file in _cited_artifacts(context):
        test = UNMAPPED_TESTS.get(entry.id, "")
        if not test or not entry.is_claimed or file.path not in context.files.artifacts:
            continue
        why = f"the official validator does not look for {test} yet"
        if not file.fragment:
            fix = f"cite {file.path}#{test}, which it looks for, and other evidence beside it"
            yield context.at_path(item.path, f"{why}, so that {file.path} shows nothing of {entry.id}", fix, entry)
        elif len(entry.citations) == 1:
            fix = "cite other evidence beside it, because a reviewer will judge by hand"
            yield context.at_path(item.path, why, fix, entry, Severity.NOTE)


def artifact_disagree(context: RuleContext) -> Iterator[RuleMatch]:
    """All artefacts must come from one run and report the same results."""
    artifacts = context.files.artifacts
    names = {test for found in artifacts.values() for test in found.tests} | set(OFFICIAL_TESTS.values())
    for test in sorted(names):
        results = {path: found.result_of(test) for path, found in artifacts.items()}
        if test not in OFFICIAL_TESTS.values():
            results = {path: result for path, result in results.items() if result is not SuiteResult.ABSENT}
        if len(set(results.values())) > 1:
            listed = ", ".join(f"{path}: {result.value}" for path, result in results.items())
            why = f"the artefacts report different results for {test}: {listed}"
            yield _at_first_artifact(context, why, "cite files of one run")
            break
    for path, found in artifacts.items():
        if found.inconsistent:
            why = f"{path} has more than one result for {found.inconsistent[0]}"
            fix = "cite one complete run; the validator uses the later result"
            yield _at_first_artifact(context, why, fix)


def artifact_advised(context: RuleContext) -> Iterator[RuleMatch]:
    """From 1.37 on, a requirement with an official test should cite the suite's results."""
    version = effective_version(context.questionnaire)
    if not version or tuple(map(int, version.split("."))) < ADVISED_SINCE:
        return
    with_artifact = {entry.id for entry, _, _ in _cited_artifacts(context)}
    without = [
        entry
        for entry in context.entries
        if entry.id in OFFICIAL_TESTS and entry.status == IMPLEMENTED and entry.id not in with_artifact
    ]
    if without:
        names = ", ".join(entry.id for entry in without)
        why = f"no official test result is cited for {names}, which the suite tests"
        yield context.at_field(without[0], "evidence", why, f"run the suite and cite {', '.join(ARTIFACT_NAMES)}")


def artifact_renamed(context: RuleContext) -> Iterator[RuleMatch]:
    """Results of the suite must have one of the names that the validator reads."""
    for entry in context.entries:
        for item in entry.citations:
            file = context.files.cited.get(item.text)
            if file and not file.problem and file.path in context.files.misnamed_results:
                why = f"{file.path} looks like results of go test, but the validator does not read this file name"
                fix = f"rename it to {' or '.join(ARTIFACT_NAMES)} if the official suite wrote it"
                yield context.at_path(item.path, why, fix, entry)


def _cited_artifacts(context: RuleContext) -> Iterator[tuple[QuestionnaireEntry, EvidenceItem, CitedFile]]:
    for entry in context.entries:
        for item in entry.citations:
            file = context.files.cited.get(item.text)
            if file and not file.problem and file.kind:
                yield entry, item, file


def _cited_tests(context: RuleContext) -> Iterator[tuple[QuestionnaireEntry, EvidenceItem, CitedFile, str]]:
    """Cited artefacts that can be read, each with the test that must have passed."""
    for entry, item, file in _cited_artifacts(context):
        artifact = context.files.artifacts.get(file.path)
        if artifact is None:
            continue
        test = file.fragment or OFFICIAL_TESTS.get(entry.id, "")
        unmapped = UNMAPPED_TESTS.get(entry.id, "")
        if not test and unmapped and artifact.result_of(unmapped) is not SuiteResult.ABSENT:
            test = unmapped
        if test:
            yield entry, item, file, test


def _at_first_artifact(context: RuleContext, why: str, fix: str) -> RuleMatch:
    """A match at the first citation of an artefact, or at the document."""
    for entry, item, _ in _cited_artifacts(context):
        return context.at_path(item.path, why, fix, entry)
    return context.at_path((), why, fix)
