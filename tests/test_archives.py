"""Archives of others are unpacked into their directory, within bounds, or refused."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from plimsoll import archives
from plimsoll.archives import BadArchive, read_archive
from plimsoll.images.base import find_base
from plimsoll.images.layers import LayerStore


def archive(path: Path, *entries: tuple[str, bytes, bytes, str], compressed: bool = False) -> Path:
    """An archive of entries: name, type, content, link."""
    with tarfile.open(path, "w:gz" if compressed else "w") as made:
        for name, kind, content, link in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.size, entry.linkname = kind, len(content), link
            made.addfile(entry, io.BytesIO(content))
    return path


def unpacked(path: Path, *, compressed: bool = False) -> dict[str, bytes]:
    """The files of an archive by name."""
    found = {}
    for entry in read_archive(path, compressed=compressed):
        if entry.content is not None:
            found[entry.name] = entry.content.read()
    return found


@pytest.mark.parametrize("compressed", [False, True])
def test_files_come_with_their_names_and_content(tmp_path: Path, compressed: bool) -> None:
    path = archive(
        tmp_path / "a.tar",
        ("d", tarfile.DIRTYPE, b"", ""),
        ("./d/a", tarfile.REGTYPE, b"one", ""),
        ("b", tarfile.REGTYPE, b"", ""),
        compressed=compressed,
    )
    assert unpacked(path, compressed=compressed) == {"d/a": b"one", "b": b""}


@pytest.mark.parametrize("name", ["../out", "/out", "a/../../out", "a/../b", "..", "/"])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    path = archive(tmp_path / "a.tar", (name, tarfile.REGTYPE, b"x", ""))
    with pytest.raises(BadArchive, match="leads out of the directory"):
        unpacked(path)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
@pytest.mark.parametrize("link", ["..", "b", "/etc", "a"])
def test_links_and_devices_are_refused_wherever_they_lead(tmp_path: Path, kind: bytes, link: str) -> None:
    path = archive(tmp_path / "a.tar", ("b", tarfile.REGTYPE, b"x", ""), ("a", kind, b"", link))
    with pytest.raises(BadArchive, match="neither a plain file nor a directory"):
        unpacked(path)


def test_an_archive_that_unpacks_to_far_more_than_it_has_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "ALWAYS_ALLOWED", 1 << 20)
    path = archive(tmp_path / "a.tar", ("a", tarfile.REGTYPE, b"\0" * (8 << 20), ""), compressed=True)
    with pytest.raises(BadArchive, match="far more bytes"):
        unpacked(path, compressed=True)


def test_an_extended_header_of_any_size_is_refused_before_it_is_read(tmp_path: Path) -> None:
    entry = tarfile.TarInfo("a")
    entry.type, entry.size = tarfile.XHDTYPE, 1 << 32
    (tmp_path / "a.tar").write_bytes(entry.tobuf() + b"\0" * 2048)
    with pytest.raises(BadArchive, match="a header of more than"):
        unpacked(tmp_path / "a.tar")


def test_too_many_entries_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_ENTRIES", 3)
    path = archive(tmp_path / "a.tar", *((str(number), tarfile.REGTYPE, b"", "") for number in range(4)))
    with pytest.raises(BadArchive, match="more than 3 entries"):
        unpacked(path)


@pytest.mark.parametrize("content", [b"", b"x" * 600, b"\x1f\x8b", gzip.compress(b"x" * 600, mtime=0)[:-9]])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(BadArchive):
        unpacked(tmp_path / "a.tar", compressed=True)


def test_a_base_image_with_a_link_in_its_archive_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    from plimsoll.errors import TargetError

    path = archive(
        tmp_path / "base.tar",
        ("blobs", tarfile.SYMTYPE, b"", str(tmp_path)),
        ("blobs/sha256/aa", tarfile.REGTYPE, b"planted", ""),
    )
    with pytest.raises(TargetError, match="neither a plain file nor a directory"):
        find_base(f"oci-archive:{path}", LayerStore(tmp_path / "store"))
    assert not list((tmp_path / "store").rglob("*aa"))
    assert not (tmp_path / "sha256").exists()
