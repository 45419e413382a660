"""What a later step gets is what the step before it wrote."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from plimsoll.errors import TargetError
from plimsoll.runtime.outputs import files_in, require_outputs
from plimsoll.state.directory import StateDirectory
from plimsoll.state.integrity import GRAIN, RESULT, SEEN
from plimsoll.state.results import Result

KEY = "k" * 16


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    """The state with a finished step that wrote `a` and `sub/b`."""
    state = StateDirectory(tmp_path)
    state.make()
    output = state.fresh_work(KEY) / "output"
    (output / "sub").mkdir()
    (output / "a").write_text("GOOD")
    (output / "sub/b").write_text("GOOD")
    (output / "link").symlink_to("a")
    state.commit(KEY, Result(outputs=files_in(output)))
    return state


def test_a_result_is_found_again(state: StateDirectory) -> None:
    result = state.result(KEY, Result)
    assert result is not None
    assert [file.name for file in result.outputs] == ["a", "link", "sub/b"]


def alter_in_place(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"EVIL")


def alter_with_old_times(path: Path) -> None:
    before = path.stat()
    alter_in_place(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def exchange(path: Path) -> None:
    before = path.stat()
    other = path.with_name("other")
    other.write_text("EVIL")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


def link_elsewhere(path: Path) -> None:
    (path.parent.parent.parent / "elsewhere").write_text("EVIL")
    path.unlink()
    path.symlink_to(path.parent.parent.parent / "elsewhere")


def make_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    "alter", [alter_in_place, alter_with_old_times, exchange, link_elsewhere, make_fifo, Path.unlink]
)
@pytest.mark.parametrize("name", ["a", "sub/b"])
def test_an_altered_result_is_none(state: StateDirectory, alter: object, name: str) -> None:
    assert callable(alter)
    assert state.result(KEY, Result) is not None
    alter(state.output(KEY) / name)
    assert state.result(KEY, Result) is None


def test_a_change_right_after_the_result_was_stored_is_found(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    state.make()
    for number in range(50):
        key = f"key-{number}"
        output = state.fresh_work(key) / "output"
        (output / "a").write_text("GOOD")
        state.commit(key, Result(outputs=files_in(output)))
        alter_with_old_times(state.output(key) / "a")
        assert state.result(key, Result) is None


def test_a_file_whose_next_change_could_have_the_same_time_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = StateDirectory(tmp_path)
    state.make()
    output = state.fresh_work(KEY) / "output"
    (output / "a").write_text("GOOD")
    changed = (output / "a").stat().st_ctime_ns
    monkeypatch.setattr("time.time_ns", lambda: changed + GRAIN // 2)
    state.commit(KEY, Result(outputs=files_in(output)))
    assert not (state.results / KEY / SEEN).exists()
    monkeypatch.setattr("time.time_ns", lambda: changed + 2 * GRAIN)
    assert state.result(KEY, Result) is not None
    assert "a" in json.loads((state.results / KEY / SEEN).read_bytes())


def test_another_process_finds_the_same(state: StateDirectory) -> None:
    assert StateDirectory(state.application).result(KEY, Result) is not None
    alter_with_old_times(state.output(KEY) / "a")
    assert StateDirectory(state.application).result(KEY, Result) is None


def test_a_result_that_is_removed_or_broken_is_none(state: StateDirectory) -> None:
    assert state.result(KEY, Result) is not None
    (state.results / KEY / RESULT).write_text("{")
    assert state.result(KEY, Result) is None
    (state.results / KEY / RESULT).unlink()
    assert state.result(KEY, Result) is None


def test_a_result_that_was_copied_is_the_same(state: StateDirectory) -> None:
    path = state.output(KEY) / "a"
    path.unlink()
    path.write_text("GOOD")
    assert state.result(KEY, Result) is not None


@pytest.mark.parametrize("kind", ["link", "fifo", "relative", "loop"])
def test_what_leads_out_of_an_output_is_no_part_of_it(tmp_path: Path, kind: str) -> None:
    state = StateDirectory(tmp_path)
    state.make()
    output = state.fresh_work(KEY) / "output"
    (output / "a").write_text("GOOD")
    (tmp_path / "secret").write_text("secret")
    foreign = output / "foreign"
    if kind == "fifo":
        os.mkfifo(foreign)
    else:
        to = {"link": tmp_path / "secret", "relative": Path("../../../../secret"), "loop": Path("foreign")}
        foreign.symlink_to(to[kind])
    with pytest.raises(TargetError, match=r"leads out of|wrote no"):
        require_outputs(output, ["a", "foreign"])
    assert [file.name for file in files_in(output)] == ["a"]
    state.commit(KEY, Result(outputs=files_in(output)))
    assert not os.path.lexists(state.output(KEY) / "foreign")
