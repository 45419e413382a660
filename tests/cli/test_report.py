"""`plimsoll report` on an evidence bundle, as a process."""

from __future__ import annotations

from pathlib import Path

from plimsoll.signing.keys import KeyRing
from tests.capabilities.bundled import bundle_of

from .conftest import Plimsoll, answer


def test_a_bundle_s_page_lies_beside_it_and_leaves_it_as_it_was_signed(tmp_path: Path, plimsoll: Plimsoll) -> None:
    bundle_of(tmp_path / "bundle", KeyRing(tmp_path / ".config" / "plimsoll" / "keys"))
    path = Path(answer(plimsoll("report", "bundle", "--json"))["report"])
    assert path == tmp_path / "bundle.html"
    assert "All 8 MUSTs" in path.read_text()
    assert plimsoll("verify", "bundle").returncode == 0
    assert plimsoll("report", "bundle", "--output=pages/x.html").returncode == 0
    assert (tmp_path / "pages" / "x.html").is_file()


def test_a_page_in_the_bundle_itself_is_refused(tmp_path: Path, plimsoll: Plimsoll) -> None:
    bundle_of(tmp_path / "bundle", KeyRing(tmp_path / ".config" / "plimsoll" / "keys"))
    ended = plimsoll("report", "bundle", "--output=bundle/x.html")
    assert ended.returncode == 2
    assert "signed as a whole" in ended.stderr


def test_a_directory_without_run_or_bundle_is_told(tmp_path: Path, plimsoll: Plimsoll) -> None:
    (tmp_path / "empty").mkdir()
    ended = plimsoll("report", "empty")
    assert ended.returncode == 2
    assert "there is no such application file" in ended.stderr
