"""`plimsoll report` on an evidence bundle, as a process."""

from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.signing.keys import KeyRing
from tests.capabilities.bundled import bundle_of

from .conftest import Plimsoll, answer


@pytest.mark.slow
def test_a_bundle_s_page_lies_beside_it_and_leaves_it_as_it_was_signed(tmp_path: Path, plimsoll: Plimsoll) -> None:
    bundle_of(tmp_path / "bundle", KeyRing(tmp_path / ".config" / "plimsoll" / "keys"))
    path = Path(answer(plimsoll("report", "bundle", "--json"))["report"])
    assert path == tmp_path / "bundle.html"
    assert "All 8 MUSTs" in path.read_text()
    assert plimsoll("verify", "bundle").returncode == 0
    assert plimsoll("report", "bundle", "--output=pages/x.html").returncode == 0
    assert (tmp_path / "pages" / "x.html").is_file()


@pytest.mark.slow
def test_verify_says_why_a_bundle_cannot_be_relied_on(tmp_path: Path, plimsoll: Plimsoll) -> None:
    keys = KeyRing(tmp_path / ".config" / "plimsoll" / "keys")
    folder = bundle_of(tmp_path / "bundle", keys)
    key = keys.signer().public_key.keyid
    assert plimsoll("verify", "bundle").stdout.splitlines()[-1] == f"signature valid, key {key[:16]}"
    (folder / "extra").write_text("x")
    altered = plimsoll("verify", "bundle")
    assert altered.returncode == 1
    assert altered.stdout.splitlines()[-1] == "the bundle was altered"
    (keys.trusted / f"{key}.json").unlink()
    untrusted = plimsoll("verify", "bundle")
    assert untrusted.stdout.splitlines()[-1] == "the signature is not valid, or its key is not trusted"


def test_a_page_in_the_bundle_itself_is_refused(tmp_path: Path, plimsoll: Plimsoll) -> None:
    bundle_of(tmp_path / "bundle", KeyRing(tmp_path / ".config" / "plimsoll" / "keys"))
    ended = plimsoll("report", "bundle", "--output=bundle/x.html")
    assert ended.returncode == 2
    assert "the signature covers all of its files" in ended.stderr


def test_a_directory_without_run_or_bundle_is_told(tmp_path: Path, plimsoll: Plimsoll) -> None:
    (tmp_path / "empty").mkdir()
    ended = plimsoll("report", "empty")
    assert ended.returncode == 2
    assert "no such application file" in ended.stderr
