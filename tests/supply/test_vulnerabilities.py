from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from plimsoll.errors import FileError
from plimsoll.supply.advisories import read_database
from plimsoll.supply.packages import Package
from plimsoll.supply.severity import base_score
from plimsoll.supply.version_ranges import Undecidable, is_affected
from plimsoll.supply.vulnerabilities import Scanned, scan_packages

CRITICAL = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"


def ranged(*events: dict[str, str], kind: str = "ECOSYSTEM") -> list[tuple[str, list[dict[str, str]]]]:
    return [(kind, list(events))]


def advisory(name: str = "GHSA-1", package: str = "Pump_Lib", **more: object) -> dict[str, object]:
    affected = {
        "package": {"name": package, "ecosystem": "PyPI"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.0"}]}],
    }
    return {"id": name, "affected": [affected], "summary": "It leaks.", **more}


def scanned(
    directory: Path,
    *advisories: object,
    name: str = "pump.lib",
    version: str = "1.9",
    complete: bool = False,
    **more: str,
) -> Scanned:
    for number, each in enumerate(advisories):
        (directory / f"{number}.json").write_text(json.dumps(each))
    package = Package(name=name, version=version, **more)  # type: ignore[arg-type]
    (found,) = scan_packages([package], read_database(directory), complete=complete)
    return found


INTRODUCED, FIXED = {"introduced": "1.0"}, {"fixed": "2.0"}


@pytest.mark.parametrize(
    ("version", "events", "affected"),
    [
        ("0.9", [INTRODUCED, FIXED], False),
        ("1.0", [INTRODUCED, FIXED], True),
        ("1.10", [INTRODUCED, FIXED], True),
        ("2.0rc1", [INTRODUCED, FIXED], True),
        ("2.0", [INTRODUCED, FIXED], False),
        ("2.0.post1", [INTRODUCED, FIXED], False),
        ("2.0+cpu", [INTRODUCED, FIXED], False),
        ("1!0.1", [INTRODUCED, FIXED], False),
        ("1.5", [FIXED, INTRODUCED], True),
        ("3.1", [INTRODUCED, FIXED, {"introduced": "3.0"}, {"fixed": "3.2"}], True),
        ("2.5", [INTRODUCED, FIXED, {"introduced": "3.0"}, {"fixed": "3.2"}], False),
        ("2.0", [INTRODUCED, {"last_affected": "2.0"}], True),
        ("2.0+cu121", [INTRODUCED, {"last_affected": "2.0"}], True),
        ("2.0.1", [INTRODUCED, {"last_affected": "2.0"}], False),
        ("1.5", [INTRODUCED, {"limit": "1.4"}], False),
        ("1.3", [INTRODUCED, {"limit": "1.4"}], True),
        ("9", [{"introduced": "0"}], True),
        ("0.0.dev1", [{"introduced": "0"}], True),
    ],
)
def test_a_range_is_read_as_the_schema_and_the_order_of_versions_say(
    version: str, events: list[dict[str, str]], affected: bool
) -> None:
    assert is_affected(version, [], ranged(*events)) is affected


def test_a_listed_version_is_the_same_in_any_spelling() -> None:
    assert is_affected("1.0", ["1.0.0"], [])
    assert is_affected("1.0+cpu", ["1.0"], [])
    assert not is_affected("1.1", ["1.0"], [])


@pytest.mark.parametrize(
    ("version", "ranges"),
    [
        ("of today", ranged(INTRODUCED)),
        ("1.0", ranged({"introduced": "0"}, {"fixed": "the next"})),
        ("1.0", ranged({"introduced": "abc"}, kind="GIT")),
        ("1.0", ranged(FIXED)),
        ("1.0", []),
    ],
)
def test_what_cannot_be_decided_is_said(version: str, ranges: list[tuple[str, list[dict[str, str]]]]) -> None:
    with pytest.raises(Undecidable):
        is_affected(version, [], ranges)


def test_a_package_is_found_under_any_spelling_of_its_name(tmp_path: Path) -> None:
    found = scanned(tmp_path, advisory())
    assert found.finding.verdict == "vulnerable"
    assert "fixed in 2.0" in found.finding.reasons[0]


def test_a_version_that_is_mended_is_clean(tmp_path: Path) -> None:
    assert scanned(tmp_path, advisory(), version="2.0").finding.verdict == "clean"


def test_a_package_that_no_advisory_names_is_unknown_unless_the_database_is_said_to_be_complete(tmp_path: Path) -> None:
    assert scanned(tmp_path, advisory(), name="other").finding.verdict == "unknown"
    assert scanned(tmp_path, advisory(), name="other", complete=True).finding.verdict == "clean"


def test_a_package_from_elsewhere_is_unknown_whatever_its_name_is(tmp_path: Path) -> None:
    found = scanned(tmp_path, advisory(), version="2.0", complete=True, installed_from="file:///pump")
    assert found.finding.verdict == "unknown"


def test_without_a_database_all_is_unknown() -> None:
    (found,) = scan_packages([Package(name="pump", version="1")], None)
    assert found.finding.verdict == "unknown"


def test_an_advisory_that_was_withdrawn_does_not_count(tmp_path: Path) -> None:
    withdrawn = advisory(withdrawn="2024-01-01T00:00:00Z")
    assert scanned(tmp_path, withdrawn, complete=True).finding.verdict == "clean"


def test_advisories_of_one_vulnerability_are_one_with_the_worst_severity(tmp_path: Path) -> None:
    (found,) = scanned(
        tmp_path,
        advisory("PYSEC-7", aliases=["CVE-1"]),
        advisory("GHSA-1", aliases=["CVE-1"], severity=[{"type": "CVSS_V3", "score": CRITICAL}]),
        advisory("CVE-1", database_specific={"severity": "LOW"}),
    ).vulnerabilities
    assert (found.id, found.aliases, found.severity) == ("GHSA-1", ("CVE-1", "PYSEC-7"), "critical")


def test_advisories_of_other_ecosystems_are_about_other_packages(tmp_path: Path) -> None:
    other = advisory()
    other["affected"][0]["package"]["ecosystem"] = "npm"  # type: ignore[index]
    assert scanned(tmp_path, other).finding.verdict == "unknown"


def test_a_file_of_the_database_that_cannot_be_read_leaves_nothing_clean(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    assert scanned(tmp_path, advisory(), version="2.0", complete=True).finding.verdict == "unknown"


def test_a_database_may_be_an_archive(tmp_path: Path) -> None:
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("GHSA-1.json", json.dumps(advisory()))
    assert read_database(path).count == 1


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"[]", b"{}", b'{"id": 7}', b"[" * 100_000])
def test_what_is_no_database_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "osv.json"
    path.write_bytes(content)
    with pytest.raises(FileError, match="database"):
        read_database(path)


@pytest.mark.parametrize(
    ("vector", "score"),
    [
        (CRITICAL, 9.8),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 6.1),
        ("CVSS:3.0/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N", 1.8),
        ("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:H/I:H/A:H", 9.9),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", 0.0),
        ("CVSS:3.1/AV:N", None),
        ("", None),
    ],
)
def test_a_base_score_is_that_of_the_specification(vector: str, score: float | None) -> None:
    assert base_score(vector) == score
