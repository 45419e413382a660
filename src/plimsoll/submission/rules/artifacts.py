"""Rules of the official suite's artefacts (hybrid verification, asked for since 1.37, checked for every version)."""

from __future__ import annotations

from collections.abc import Iterator

from plimsoll.submission.artifacts import NAMES, TESTS, Result
from plimsoll.submission.expected import version_of
from plimsoll.submission.finding import Hit, Severity
from plimsoll.submission.questionnaire import Entry, Evidence
from plimsoll.submission.rules.context import Context
from plimsoll.submission.rules.status import IMPLEMENTED
from plimsoll.submission.surroundings import Cited

HYBRID = (1, 37)


def artifact_unreadable(context: Context) -> Iterator[Hit]:
    """The three names are kept for what the suite wrote."""
    told = set()
    for entry, each, cited in _cited(context):
        problem = context.surroundings.unreadable.get(cited.path)
        if problem and cited.path not in told:
            told.add(cited.path)
            why = f"{cited.path} is no result of the official suite: {problem}"
            yield context.at_path(each.path, why, "cite the suite's own file, or give this one another name", entry)


def artifact_failing(context: Context) -> Iterator[Hit]:
    """One failed test spoils the file that is cited."""
    told = set()
    for entry, each, cited in _cited(context):
        found = context.surroundings.artifacts.get(cited.path)
        if found and found.failures and cited.path not in told:
            why = f"{cited.path} has failed tests: {', '.join(found.failures[:5])}"
            yield context.at_path(each.path, why, "run the suite again until it passes", entry)
        told.add(cited.path)
    for path, found in context.surroundings.artifacts.items():
        if found.failures and path not in told:
            why = f"{path} lies here uncited and has failed tests: {', '.join(found.failures[:5])}"
            yield Hit(
                place=context.questionnaire.place(), why=why, fix="explain or remove it", severity=Severity.WARNING
            )


def artifact_test_absent(context: Context) -> Iterator[Hit]:
    """The test that a requirement is shown by is in the file, and passed."""
    for entry, each, cited, test in _named(context):
        result = context.surroundings.artifacts[cited.path].of(test)
        if result is Result.ABSENT:
            why = f"{cited.path} has no test {test}, by which {entry.id} would be shown"
            yield context.at_path(each.path, why, "run that test too, or cite something else", entry)
        elif result is Result.FAILED:
            why = f"{test} failed in {cited.path}"
            yield context.at_path(each.path, why, "run the suite again until it passes", entry)


def artifact_test_skipped(context: Context) -> Iterator[Hit]:
    """What was skipped was not shown."""
    for entry, each, cited, test in _named(context):
        if entry.status == IMPLEMENTED and context.surroundings.artifacts[cited.path].of(test) is Result.SKIPPED:
            why = f"{entry.name} is said to be Implemented, and {test} was skipped in {cited.path}"
            yield context.at_path(each.path, why, "give the test what it needs and run it again", entry)


def artifact_wrong_test(context: Context) -> Iterator[Hit]:
    """A fragment takes the place of the requirement's own test: any passing one would do."""
    for entry, each, cited in _cited(context):
        named = cited.fragment.partition("/")[0]
        mine = TESTS.get(entry.id, "")
        if named and named != mine and (mine or named in TESTS.values()):
            why = f"#{named} is not the test of {entry.id}" + (f", which is {mine}" if mine else "")
            yield context.at_path(each.path, why, f"write #{mine}" if mine else "remove the fragment", entry)


def artifact_disagree(context: Context) -> Iterator[Hit]:
    """Three files of one run say the same."""
    artifacts = context.surroundings.artifacts
    names = {test for found in artifacts.values() for test in found.tests} | set(TESTS.values())
    for test in sorted(names):
        said = {path: found.of(test) for path, found in artifacts.items()}
        if test not in TESTS.values():
            said = {path: result for path, result in said.items() if result is not Result.ABSENT}
        if len(set(said.values())) > 1:
            words = ", ".join(f"{path}: {result.value}" for path, result in said.items())
            yield _at_first(context, f"the artefacts do not agree on {test}: {words}", "cite files of one run")
            break
    for path, found in artifacts.items():
        if found.inconsistent:
            why = f"{path} has {found.inconsistent[0]} with more than one result"
            yield _at_first(context, why, "cite one whole run; the validator takes the later result")


def artifact_advised(context: Context) -> Iterator[Hit]:
    """From 1.37 on the programme would like to see the suite's results where there is a test."""
    version = version_of(context.questionnaire)
    if not version or tuple(map(int, version.split("."))) < HYBRID:
        return
    with_artifact = {entry.id for entry, _, _ in _cited(context)}
    without = [
        entry
        for entry in context.entries
        if entry.id in TESTS and entry.status == IMPLEMENTED and entry.id not in with_artifact
    ]
    if without:
        why = f"the official suite has tests for {', '.join(entry.id for entry in without)}, and no result is cited"
        yield context.at(without[0], "evidence", why, f"run the suite and cite {', '.join(NAMES)}")


def artifact_renamed(context: Context) -> Iterator[Hit]:
    """Under another name the validator does not read it."""
    for entry in context.entries:
        for each in entry.links:
            cited = context.surroundings.cited.get(each.text)
            if cited and not cited.problem and cited.path in context.surroundings.logs:
                why = f"{cited.path} looks like results of go test, which the validator reads under three names only"
                yield context.at_path(each.path, why, f"name it {' or '.join(NAMES)} if it is the suite's", entry)


def _cited(context: Context) -> Iterator[tuple[Entry, Evidence, Cited]]:
    for entry in context.entries:
        for each in entry.links:
            cited = context.surroundings.cited.get(each.text)
            if cited and not cited.problem and cited.kind:
                yield entry, each, cited


def _named(context: Context) -> Iterator[tuple[Entry, Evidence, Cited, str]]:
    """Readable artefacts with the test that must have passed in them."""
    for entry, each, cited in _cited(context):
        test = cited.fragment or TESTS.get(entry.id, "")
        if test and cited.path in context.surroundings.artifacts:
            yield entry, each, cited, test


def _at_first(context: Context, why: str, fix: str) -> Hit:
    for entry, each, _ in _cited(context):
        return context.at_path(each.path, why, fix, entry)
    return Hit(place=context.questionnaire.place(), why=why, fix=fix)
