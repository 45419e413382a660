"""The sealed side of plain files: a picture of all of them at any moment, and nothing of them in clear."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from plimsoll.errors import TargetError
from plimsoll.vault.index import Entry, Index, read_index, write_index
from plimsoll.vault.opening import OBJECTS, open_files
from plimsoll.vault.problems import SealedDamaged
from plimsoll.vault.sealing import Sealing

KEY = bytes(range(32))
VAULT = "5f" * 16
MARK = b"holder-4711"


class Sides:
    """A plain and a sealed directory."""

    def __init__(self, root: Path) -> None:
        self.root, self.plain, self.sealed = root, root / "plain", root / "sealed"
        self.plain.mkdir()
        (self.sealed / OBJECTS).mkdir(parents=True)
        self.sealing = Sealing(self.plain, self.sealed, VAULT, KEY)

    def seal(self) -> None:
        while not self.sealing.seal(all_now=True):
            pass

    def opened(self, name: str = "opened") -> Path:
        into = self.root / name
        into.mkdir()
        open_files(read_index(self.sealed, VAULT, KEY), self.sealed, into, KEY)
        return into

    def objects(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (self.sealed / OBJECTS).iterdir()}


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    return Sides(tmp_path)


def tree(root: Path) -> dict[str, object]:
    """What is below a directory, with modes and times."""
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        about, name = path.lstat(), os.fsencode(path.relative_to(root)).decode("latin-1")
        if path.is_symlink():
            found[name] = path.readlink()
        elif path.is_dir():
            found[name] = (stat.S_IMODE(about.st_mode), about.st_mtime_ns)
        else:
            found[name] = (stat.S_IMODE(about.st_mode), about.st_mtime_ns, path.read_bytes())
    return found


def test_files_links_modes_times_and_names_come_back_as_they_were(sides: Sides) -> None:
    deep = sides.plain / "results" / "k1" / "output"
    deep.mkdir(parents=True)
    (deep / "rows.csv").write_bytes(MARK * 1000)
    (deep / "empty").touch()
    (deep / "tool.sh").write_text("exit")
    (deep / "tool.sh").chmod(0o755)
    (deep / "of two names").write_bytes(MARK)
    (deep / "again").hardlink_to(deep / "of two names")
    (sides.plain / "latest").symlink_to("results/k1/output")
    (sides.plain / "lost").symlink_to("nowhere")
    Path(os.fsdecode(os.fsencode(sides.plain) + b"/caf\xe9")).write_bytes(b"latin")
    os.utime(deep / "rows.csv", ns=(1_600_000_000_123_456_789,) * 2)
    before = tree(sides.plain)
    sides.seal()
    into = sides.opened()
    assert tree(into) == before
    assert (into / "results/k1/output/again").samefile(into / "results/k1/output/of two names")


def test_neither_content_nor_names_are_in_sealed_files(sides: Sides) -> None:
    (sides.plain / MARK.decode()).write_bytes(MARK * 100_000)
    sides.seal()
    for path in sides.sealed.rglob("*"):
        assert MARK.decode() not in path.name
        assert not path.is_file() or MARK not in path.read_bytes()


def test_only_what_has_changed_is_sealed_again_and_what_is_gone_goes(sides: Sides) -> None:
    for name in ("stays", "changes", "goes"):
        (sides.plain / name).write_text(name)
    sides.seal()
    before = sides.objects()
    (sides.plain / "changes").write_text("CHANGES")
    (sides.plain / "goes").unlink()
    sides.seal()
    after = sides.objects()
    assert len(after) == 2
    (stays,) = before.keys() & after.keys()
    assert before[stays] == after[stays]
    assert {path.name: path.read_text() for path in sides.opened().iterdir()} == {
        "stays": "stays",
        "changes": "CHANGES",
    }


def test_a_change_that_keeps_size_and_time_is_sealed(sides: Sides) -> None:
    path = sides.plain / "weights"
    path.write_bytes(b"one")
    os.utime(path, ns=(1, 1))
    sides.seal()
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    sides.seal()
    assert (sides.opened() / "weights").read_bytes() == b"two"


def test_attempts_under_way_are_left_out_and_what_they_become_is_not(sides: Sides) -> None:
    for work in (sides.plain / "work" / "k1", sides.plain / "targets" / "lab" / "work" / "k2"):
        (work / "output").mkdir(parents=True)
        (work / "output" / "half").write_text("half")
    sides.seal()
    assert sides.objects() == {}
    (sides.plain / "results").mkdir()
    (sides.plain / "work" / "k1").rename(sides.plain / "results" / "k1")
    (sides.plain / "work" / "k1").symlink_to("../results/k1")
    sides.seal()
    assert (sides.opened() / "work/k1/output/half").read_text() == "half"


def test_files_that_their_owner_may_not_read_are_kept(sides: Sides) -> None:
    directory = sides.plain / "closed"
    directory.mkdir()
    (directory / "file").write_text("kept")
    (directory / "file").chmod(0)
    directory.chmod(0)
    sides.seal()
    assert (sides.opened() / "closed" / "file").read_bytes() == b"kept"


def test_what_was_sealed_before_a_kill_opens_whatever_lies_beside_it(sides: Sides) -> None:
    (sides.plain / "file").write_text("before")
    sides.seal()
    # A kill between an object and the index that names it.
    (sides.sealed / OBJECTS / "stray").write_bytes(b"half of an object")
    (sides.sealed / ".index.1234").write_bytes(b"half of an index")
    assert (sides.opened() / "file").read_text() == "before"
    (sides.plain / "file").write_text("after")
    sides.seal()
    assert "stray" not in sides.objects()


def test_swapped_and_missing_objects_are_named_with_what_they_were(sides: Sides) -> None:
    for name in ("orders", "people"):
        (sides.plain / name).write_text(name)
    sides.seal()
    one, other = sorted((sides.sealed / OBJECTS).iterdir())
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    with pytest.raises(SealedDamaged, match="swapped") as swapped:
        sides.opened("swapped")
    assert "orders" in swapped.value.where
    one.unlink()
    other.unlink()
    with pytest.raises(SealedDamaged, match="orders is gone"):
        sides.opened("gone")


def test_an_index_of_another_vault_is_refused(sides: Sides) -> None:
    write_index(sides.sealed, Index("00" * 16), KEY)
    with pytest.raises(SealedDamaged, match="another vault"):
        read_index(sides.sealed, VAULT, KEY)


@pytest.mark.parametrize("path", ["../out", "/etc/out", "a/../../out", ""])
def test_an_index_cannot_name_files_outside(sides: Sides, path: str) -> None:
    write_index(sides.sealed, Index(VAULT, (Entry(path=path, kind="directory"),)), KEY)
    with pytest.raises(SealedDamaged, match="outside"):
        sides.opened()


def test_files_that_do_not_fit_are_named(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    (sides.plain / "large").write_bytes(b"x" * 5000)
    sides.seal()
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    import signal

    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
        with pytest.raises(TargetError, match=r"cannot open large \(5000 bytes\)"):
            sides.opened()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
