"""`plimsoll submit` and `report` on a bundle, as processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.signing.keys import KeyRing
from tests.capabilities.bundled import bundle_of
from tests.submission.questionnaires import template

from .conftest import Plimsoll, answer


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle signed with the key that the command uses."""
    (tmp_path / "template.yaml").write_text(template("1.37"))
    return bundle_of(tmp_path / "bundle", KeyRing(tmp_path / ".config" / "plimsoll" / "keys"))


@pytest.mark.slow
def test_a_submission_is_written_and_printed_by_requirement(tmp_path: Path, plimsoll: Plimsoll, bundle: Path) -> None:
    options = ("--bundle=bundle", "--template=template.yaml", "--output=v1.37/acme", "--set=vendorName=Acme Inc.")
    ended = plimsoll("submit", *options)
    assert ended.returncode == 0
    assert "MUST   gang_scheduling" in ended.stdout
    assert "for you to supply:" in ended.stdout
    assert "'platformName' still has the template's placeholder" in ended.stdout
    assert (tmp_path / "v1.37" / "acme" / "PRODUCT.yaml").is_file()
    assert plimsoll("verify", "v1.37/acme/bundle").returncode == 0


def test_json_has_the_answers_what_to_supply_and_the_directory(plimsoll: Plimsoll, bundle: Path) -> None:
    result = answer(plimsoll("submit", "--bundle=bundle", "--template=template.yaml", "--output=out", "--json"))
    assert result["output"] == "out"
    assert {each["status"] for each in result["answers"] if each["level"] == "MUST"} == {"Implemented"}
    assert {each["rule"] for each in result["to_supply"]} == {"placeholder"}


def test_a_missing_template_is_an_error_with_its_address(tmp_path: Path, plimsoll: Plimsoll, bundle: Path) -> None:
    ended = plimsoll("submit", "--bundle=bundle", "--output=out")
    assert ended.returncode == 2
    assert "docs/AIConformance-1.37.yaml" in ended.stderr
    assert not (tmp_path / "out").exists()


def test_a_failed_download_is_an_error_with_the_address(tmp_path: Path, plimsoll: Plimsoll, bundle: Path) -> None:
    # A proxy on a closed port blocks every download, on any machine.
    ended = plimsoll("submit", "--bundle=bundle", "--download", "--output=out", https_proxy="http://127.0.0.1:9")
    assert ended.returncode == 1
    assert "the template of 1.37 could not be downloaded" in ended.stderr
    assert "name the file with --template" in ended.stderr
    assert not (tmp_path / "out").exists()


def test_an_altered_bundle_has_exit_status_1(plimsoll: Plimsoll, bundle: Path) -> None:
    (bundle / "inventory.jsonl").write_bytes((bundle / "inventory.jsonl").read_bytes() + b"\n")
    ended = plimsoll("submit", "--bundle=bundle", "--template=template.yaml", "--output=out")
    assert ended.returncode == 1
    assert "inventory.jsonl: altered" in ended.stderr
