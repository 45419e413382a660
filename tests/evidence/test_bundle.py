"""A bundle names every file that is not as it was signed."""

from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.errors import PlimsollError
from plimsoll.evidence.bundle import ENVELOPE, MANIFEST, check_seal, seal
from plimsoll.signing.keys import KeyRing


@pytest.fixture
def keys(tmp_path: Path) -> KeyRing:
    return KeyRing(tmp_path / "keys")


@pytest.fixture
def bundle(tmp_path: Path, keys: KeyRing) -> Path:
    folder = tmp_path / "bundle"
    (folder / "probes").mkdir(parents=True)
    (folder / "probes" / "a.jsonl").write_text("{}\n")
    (folder / "verdicts.json").write_text("[]")
    seal(folder, {"profile": "cncf-1.37"}, keys)
    return folder


def test_an_untouched_bundle_is_as_it_was_signed(bundle: Path, keys: KeyRing) -> None:
    found = check_seal(bundle, keys)
    assert found.problems == ()
    assert found.signer
    assert found.predicate == {"profile": "cncf-1.37"}


def test_an_altered_a_missing_and_an_added_file_are_named(bundle: Path, keys: KeyRing) -> None:
    (bundle / "probes" / "a.jsonl").write_text("{} \n")
    (bundle / "verdicts.json").unlink()
    (bundle / "probes" / "b.jsonl").write_text("{}\n")
    assert set(check_seal(bundle, keys).problems) == {
        "probes/a.jsonl: altered",
        "verdicts.json: missing",
        "probes/b.jsonl: added after the signature",
    }


def test_a_list_that_was_altered_with_its_file_is_found_by_the_signature(bundle: Path, keys: KeyRing) -> None:
    import hashlib

    old, new = hashlib.sha256(b"[]").hexdigest(), hashlib.sha256(b"[1]").hexdigest()
    (bundle / "verdicts.json").write_text("[1]")
    (bundle / MANIFEST).write_text((bundle / MANIFEST).read_text().replace(old, new))
    assert check_seal(bundle, keys).problems == (f"{MANIFEST}: altered after the signature",)


def test_a_bundle_that_was_signed_again_by_a_stranger_is_not_trusted(
    bundle: Path, keys: KeyRing, tmp_path: Path
) -> None:
    (bundle / "verdicts.json").write_text("[1]")
    for name in (MANIFEST, ENVELOPE):
        (bundle / name).unlink()
    seal(bundle, {"profile": "cncf-1.37"}, KeyRing(tmp_path / "stranger"))
    (problem,) = check_seal(bundle, keys).problems
    assert "is not trusted here" in problem


def test_a_link_to_elsewhere_is_no_file_of_the_bundle(bundle: Path, keys: KeyRing, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("[]")
    (bundle / "verdicts.json").unlink()
    (bundle / "verdicts.json").symlink_to(outside)
    assert check_seal(bundle, keys).problems == (
        "verdicts.json: it is a link, and what it leads to is not signed",
        "verdicts.json: altered",
    )


@pytest.mark.parametrize("name", [MANIFEST, ENVELOPE])
def test_a_bundle_without_its_signature_is_said_to_be_incomplete(bundle: Path, keys: KeyRing, name: str) -> None:
    (bundle / name).unlink()
    with pytest.raises(PlimsollError, match="no complete evidence bundle"):
        check_seal(bundle, keys)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff", b'{"payload": 1, "signatures": []}'])
def test_nonsense_in_place_of_a_signature_is_a_problem_and_no_traceback(
    bundle: Path, keys: KeyRing, content: bytes
) -> None:
    (bundle / ENVELOPE).write_bytes(content)
    assert check_seal(bundle, keys).problems


def test_a_directory_that_holds_no_signed_file_is_named(bundle: Path, keys: KeyRing) -> None:
    (bundle / "more/empty").mkdir(parents=True)
    assert check_seal(bundle, keys).problems == (
        "more/: added after the signature",
        "more/empty/: added after the signature",
    )


def test_a_link_is_a_problem_even_when_it_was_signed(tmp_path: Path, keys: KeyRing) -> None:
    directory = tmp_path / "linked"
    directory.mkdir()
    (directory / "a").write_text("a")
    (directory / "link").symlink_to("a")
    seal(directory, {}, keys)
    assert check_seal(directory, keys).problems == ("link: it is a link, and what it leads to is not signed",)


@pytest.mark.parametrize("name", ["fifo", "manifest.json", "manifest.dsse.json", "check.json"])
def test_a_fifo_is_refused_and_not_waited_for(bundle: Path, keys: KeyRing, name: str) -> None:
    import os

    (bundle / name).unlink(missing_ok=True)
    os.mkfifo(bundle / name)
    with pytest.raises(PlimsollError):
        check_seal(bundle, keys)
