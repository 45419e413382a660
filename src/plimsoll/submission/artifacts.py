"""What the official suite's artefacts show: `junit.xml`, `results.json` (go test -json) and `e2e.log` (go test -v).

They are plain text without a signature: what they say is theirs, and is only read here, as the official validator does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser

import msgspec
from msgspec import Struct

from plimsoll.decoding import decodable

NAMES = ("junit.xml", "results.json", "e2e.log")
LARGEST = 64 << 20
"""Bytes of an artefact that is read: a log of the whole suite is a thousandth of it."""

# The tests that the official validator looks for. Source: validate.go of cncf/k8s-ai-conformance since 1.37.
TESTS: Mapping[str, str] = MappingProxyType(
    {
        "secure_accelerator_access": "TestSecureAcceleratorAccess",
        "gang_scheduling": "TestGangScheduling",
        "cluster_autoscaling": "TestAcceleratorClusterAutoscaling",
    }
)
_LINE = re.compile(r"\s*--- (PASS|FAIL|SKIP): (\S+)")


class Result(StrEnum):
    """How a test ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    ABSENT = "absent"


class Artifact(Struct, frozen=True, kw_only=True):
    """A parsed artefact: tests by name, those with more than one result, and packages that failed as wholes."""

    tests: Mapping[str, Result]
    inconsistent: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()

    @property
    def failures(self) -> list[str]:
        """Names of what failed; packages only when no test of theirs says why."""
        failed = sorted(name for name, result in self.tests.items() if result is Result.FAILED)
        return failed or [f"package {name}" for name in self.packages]

    def of(self, test: str) -> Result:
        """The result of a test, or of its subtests together when it has none of its own."""
        if test in self.tests:
            return self.tests[test]
        parts = {result for name, result in self.tests.items() if name.startswith(f"{test}/")}
        if not parts:
            return Result.ABSENT
        if Result.FAILED in parts:
            return Result.FAILED
        return Result.SKIPPED if parts == {Result.SKIPPED} else Result.PASSED

    @property
    def counts(self) -> dict[str, int]:
        """How many tests ended how."""
        found = [result.value for result in self.tests.values()]
        return {name: found.count(name) for name in dict.fromkeys(found)}


@decodable
class _Event(Struct):
    action: str = msgspec.field(default="", name="Action")
    package: str = msgspec.field(default="", name="Package")
    test: str = msgspec.field(default="", name="Test")


def kind_of(name: str) -> str:
    """The artefact that a file of this name is taken for, or nothing."""
    lower = name.rpartition("/")[2].lower()
    return lower if lower in NAMES else ""


def parse(name: str, content: bytes) -> Artifact:
    """Read an artefact by its name. Raises ValueError with what is wrong."""
    if len(content) > LARGEST:
        raise ValueError(f"it has {len(content) >> 20} MiB")
    reader = {"junit.xml": _junit, "results.json": _results, "e2e.log": _log}[kind_of(name)]
    tests: dict[str, Result] = {}
    inconsistent, packages = set(), []
    for test, result in reader(content):
        if test.startswith(" "):
            packages.append(test.strip())
            continue
        earlier = tests.get(test)
        if earlier is not None and earlier is not result:
            inconsistent.add(test)
        # A failure is never made good by a later line.
        tests[test] = Result.FAILED if Result.FAILED in (earlier, result) else result
    if not tests and not packages:
        raise ValueError("it has no results of tests")
    return Artifact(tests=tests, inconsistent=tuple(sorted(inconsistent)), packages=tuple(packages))


def _junit(content: bytes) -> Iterator[tuple[str, Result]]:
    for case in _elements(content).iter("testcase"):
        children = {child.tag for child in case}
        if children & {"failure", "error"}:
            result = Result.FAILED
        else:
            result = Result.SKIPPED if "skipped" in children else Result.PASSED
        yield case.get("name", "").strip(), result


class _Plain(TreeBuilder):
    """Refuses a document type: no artefact has one, and its entities could stand for gigabytes."""

    def doctype(self, *_: object) -> None:
        raise ValueError("it has a document type, which no test report needs")


def _elements(content: bytes) -> Element:
    parser = XMLParser(target=_Plain())  # noqa: S314  # entities are refused above
    try:
        parser.feed(content)
        root: Element = parser.close()
    except ParseError as error:
        raise ValueError(f"it is no XML: {error}") from None
    return root


def _results(content: bytes) -> Iterator[tuple[str, Result]]:
    decoder = msgspec.json.Decoder(_Event)
    results = {"pass": Result.PASSED, "fail": Result.FAILED, "skip": Result.SKIPPED}
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            event = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"line {number} is no event of go test -json: {error}") from None
        result = results.get(event.action)
        if result is not None and event.test:
            yield event.test, result
        elif result is Result.FAILED:
            # The space keeps it apart from names of tests, which have none.
            yield f" {event.package}", result


def _log(content: bytes) -> Iterator[tuple[str, Result]]:
    results = {"PASS": Result.PASSED, "FAIL": Result.FAILED, "SKIP": Result.SKIPPED}
    for line in content.decode(errors="replace").splitlines():
        if found := _LINE.match(line):
            yield found[2], results[found[1]]
