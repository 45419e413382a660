"""Parses the official suite's artefacts: `junit.xml`, `results.json` (go test -json) and `e2e.log` (go test -v).

The files are plain text without a signature. Plimsoll does not vouch for their content and reads it as the official
validator does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable

ARTIFACT_NAMES = ("junit.xml", "results.json", "e2e.log")
MAX_BYTES = 64 << 20
"""Bytes of the largest artefact that is read. A log of the whole suite is about a thousandth of it."""

# The tests that the official validator looks for, by requirement.
# Source: validate.go of cncf/k8s-ai-conformance since 1.37.
OFFICIAL_TESTS: Mapping[str, str] = MappingProxyType(
    {
        "secure_accelerator_access": "TestSecureAcceleratorAccess",
        "gang_scheduling": "TestGangScheduling",
        "cluster_autoscaling": "TestAcceleratorClusterAutoscaling",
    }
)
# Tests of the suite, of its main branch or under review, that the validator does not look for yet.
# Source: kubernetes-sigs/ai-conformance, autumn 2026.
UNMAPPED_TESTS: Mapping[str, str] = MappingProxyType(
    {
        "pod_autoscaling": "TestAcceleratorHorizontalPodAutoscaling",
        "accelerator_metrics": "TestAcceleratorPerformanceMetrics",
        "ai_service_metrics": "TestAIServiceMetrics",
        "driver_runtime_management": "TestAcceleratorDriverRuntimeManagement",
        "robust_controller": "TestRobustCRDControllerOperation",
        "workload_sandboxing": "TestWorkloadSandboxing",
    }
)
SUITE_TESTS: Mapping[str, str] = MappingProxyType({**OFFICIAL_TESTS, **UNMAPPED_TESTS})
"""The suite's test of each requirement that has one, whether or not the validator looks for it."""
_LOG_LINE = re.compile(r"\s*--- (PASS|FAIL|SKIP): (\S+)")


class SuiteResult(StrEnum):
    """How one test of the official suite ended; `absent` when the artefact does not have the test."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    ABSENT = "absent"


class Artifact(Struct, frozen=True, kw_only=True):
    """A parsed artefact.

    `tests` are results by test name, `inconsistent` the tests with more than one result, `packages` the Go packages
    that failed as a whole.
    """

    tests: Mapping[str, SuiteResult]
    inconsistent: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()

    @property
    def failures(self) -> list[str]:
        """Names of the failed tests, or of the failed packages when no test failed."""
        failed = sorted(name for name, result in self.tests.items() if result is SuiteResult.FAILED)
        return failed or [f"package {name}" for name in self.packages]

    def result_of(self, test: str) -> SuiteResult:
        """The result of a test. A test without a result of its own gets the combined result of its subtests."""
        if test in self.tests:
            return self.tests[test]
        parts = {result for name, result in self.tests.items() if name.startswith(f"{test}/")}
        if not parts:
            return SuiteResult.ABSENT
        if SuiteResult.FAILED in parts:
            return SuiteResult.FAILED
        return SuiteResult.SKIPPED if parts == {SuiteResult.SKIPPED} else SuiteResult.PASSED

    @property
    def counts(self) -> dict[str, int]:
        """Number of tests by result."""
        found = [result.value for result in self.tests.values()]
        return {name: found.count(name) for name in dict.fromkeys(found)}


@decodable
class _Event(Struct):
    action: str = msgspec.field(default="", name="Action")
    package: str = msgspec.field(default="", name="Package")
    test: str = msgspec.field(default="", name="Test")


def artifact_kind(name: str) -> str:
    """The artefact name that the validator recognises in a file name, or an empty string."""
    lower = name.rpartition("/")[2].lower()
    return lower if lower in ARTIFACT_NAMES else ""


def parse_artifact(name: str, content: bytes) -> Artifact:
    """Parse an artefact in the format of its name. Raises ValueError that says what is wrong."""
    if len(content) > MAX_BYTES:
        raise ValueError(f"it has {len(content) >> 20} MiB, the limit is {MAX_BYTES >> 20} MiB")
    parser = {"junit.xml": _parse_junit, "results.json": _parse_go_json, "e2e.log": _parse_go_log}[artifact_kind(name)]
    tests: dict[str, SuiteResult] = {}
    inconsistent, packages = set(), []
    for test, result in parser(content):
        if test.startswith(" "):
            packages.append(test.strip())
            continue
        earlier = tests.get(test)
        if earlier is not None and earlier is not result:
            inconsistent.add(test)
        # A later pass does not cancel a failure.
        tests[test] = SuiteResult.FAILED if SuiteResult.FAILED in (earlier, result) else result
    if not tests and not packages:
        raise ValueError("it holds no test results")
    return Artifact(tests=tests, inconsistent=tuple(sorted(inconsistent)), packages=tuple(packages))


def _parse_junit(content: bytes) -> Iterator[tuple[str, SuiteResult]]:
    for case in _parse_xml(content).iter("testcase"):
        children = {child.tag for child in case}
        if children & {"failure", "error"}:
            result = SuiteResult.FAILED
        else:
            result = SuiteResult.SKIPPED if "skipped" in children else SuiteResult.PASSED
        yield case.get("name", "").strip(), result


class _BuilderWithoutDoctype(TreeBuilder):
    """Refuses a document type. No artefact has one, and its entities could expand to gigabytes."""

    def doctype(self, *_: object) -> None:
        raise ValueError("it has a document type (<!DOCTYPE>), which is not allowed in a test report")


def _parse_xml(content: bytes) -> Element:
    parser = XMLParser(target=_BuilderWithoutDoctype())  # noqa: S314  # entities are refused above
    try:
        parser.feed(content)
        root: Element = parser.close()
    except ParseError as error:
        raise ValueError(f"it is not valid XML: {error}") from None
    return root


def _parse_go_json(content: bytes) -> Iterator[tuple[str, SuiteResult]]:
    decoder = msgspec.json.Decoder(_Event)
    results = {"pass": SuiteResult.PASSED, "fail": SuiteResult.FAILED, "skip": SuiteResult.SKIPPED}
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            event = decoder.decode(line)
        except UNREADABLE as error:
            raise ValueError(f"line {number} is not an event of go test -json: {error}") from None
        result = results.get(event.action)
        if result is not None and event.test:
            yield event.test, result
        elif result is SuiteResult.FAILED:
            # The leading space marks a package: test names have none.
            yield f" {event.package}", result


def _parse_go_log(content: bytes) -> Iterator[tuple[str, SuiteResult]]:
    results = {"PASS": SuiteResult.PASSED, "FAIL": SuiteResult.FAILED, "SKIP": SuiteResult.SKIPPED}
    for line in content.decode(errors="replace").splitlines():
        if found := _LOG_LINE.match(line):
            yield found[2], results[found[1]]
