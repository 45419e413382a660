"""`plimsoll clean`, `models --delete`, `models --code` and the sizes of `status`, by the command line."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from plimsoll.cli.main import main
from plimsoll.engine import sizes as engine_sizes
from plimsoll.engine.cleaning.cleaning import Cleaning
from plimsoll.errors import PlimsollError
from plimsoll.state import sizes
from plimsoll.state.directory import StateDirectory
from plimsoll.state.lock import RunLock
from plimsoll.state.removing import remove_whole
from plimsoll.targets.local.environment_uses import UNKNOWN, Environments, record_use
from plimsoll.targets.local.environments import COMPLETE, cache_directory
from plimsoll.targets.local.target import LocalTarget
from plimsoll.targets.local.uses import version_uses

from .conftest import write
from .ended import Ended, one_object

MODEL = """\
  parameters: {size: 3}
  models:
    m:
      train: {run: python train.py}
      accept: {good: ">= 2"}
"""
TRAIN = """\
import json, os, pathlib
output = pathlib.Path(os.environ["PLIMSOLL_OUTPUT"])
size = int(os.environ["PLIMSOLL_PARAM_SIZE"])
(output / "model.onnx").write_text("m" * size)
(output / "metrics.json").write_text(json.dumps({"good": size}))
"""


@pytest.fixture
def plimsoll(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """The command in this process, in the application's directory, with keys and a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))
    # The verbs leave handlers behind, as a process of its own may.
    monkeypatch.setattr(signal, "signal", lambda *_: None)

    def plimsoll(*arguments: str) -> Ended:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["plimsoll", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        told = capsys.readouterr()
        return Ended(int(caught.value.code or 0), told.out, told.err)

    return plimsoll


@pytest.mark.slow
def test_a_life_of_cleaning_deleting_and_code(tmp_path: Path, plimsoll: Callable[..., Ended]) -> None:
    write(tmp_path, MODEL, train_py=TRAIN)
    for size in (1, 2, 3, 4):
        assert plimsoll("run", "--set", f"size={size}").status == 0
    told = plimsoll("clean", "--keep", "2")
    assert told.status == 0
    assert "would remove:" in told.out
    assert "nothing was removed: `plimsoll clean --keep 2 --yes`" in told.out
    dry = one_object(plimsoll("clean", "--keep", "2", "--json"))
    assert [each["name"] for each in dry["items"] if each["kind"] == "versions"] == ["m@1"]
    assert len([each for each in dry["items"] if each["kind"] == "runs"]) == 2
    done = one_object(plimsoll("clean", "--keep", "2", "--yes", "--json"))
    assert {**done, "removed": False} == dry
    assert "nothing is to be removed on this machine" in plimsoll("clean", "--keep", "2").out
    assert [each["version"] for each in one_object(plimsoll("models", "--json"))["models"]] == [2, 3, 4]

    assert plimsoll("models", "m@2", "--tag", "best").status == 0
    refused = plimsoll("models", "m@2", "--delete")
    assert refused.status == 1
    assert "m@2 is needed by the tag m:best" in refused.error
    assert "deleted m@4" in plimsoll("models", "m@4", "--delete").out
    assert "m@4 was deleted on" in plimsoll("models", "m@4").error
    assert plimsoll("models", "m", "--delete").status == 2
    assert plimsoll("models", "m@3", "--target", "lab").status == 2
    # The same file asks for the model again, under a number of its own.
    run = one_object(plimsoll("run", "--set", "size=4", "--json"))
    assert run["models"]["m"]["version"] == 5

    assert "wrote 1 files of m@3" in plimsoll("models", "m@3", "--code", "back").out
    assert (tmp_path / "back" / "train.py").read_text() == TRAIN
    assert "other content" in plimsoll("models", "m@3", "--code", ".").error
    assert one_object(plimsoll("models", "m@3", "--json"))["code_stored"] == ["train.py"]
    kept = one_object(plimsoll("status", "--json"))["sizes"]
    assert min(kept["results"], kept["registry"], kept["logs"]) > 0
    assert "on disk: results" in plimsoll("status").out

    write(tmp_path, MODEL + "  services:\n    s: {model: m@3}\n")
    pinned = plimsoll("models", "m@3", "--delete")
    assert "m@3 is needed by services.s of the file" in pinned.error
    more = "    a: {kind: adapter, base: m@3, source: train.py}\n  llms: {w: {model: m@3}}\n"
    write(tmp_path, MODEL + more)
    pinned = plimsoll("models", "m@3", "--delete")
    assert "m@3 is needed by llms.w of the file; models.a of the file" in pinned.error


def test_clean_says_of_which_run_it_cannot_tell_what_it_needs(tmp_path: Path, plimsoll: Callable[..., Ended]) -> None:
    write(tmp_path, MODEL, train_py=TRAIN)
    state = StateDirectory(tmp_path)
    state.make()
    lock = RunLock(state.lock)
    lock.acquire("20260101-000000-000001", "tiny")
    refused = plimsoll("clean", "--yes")
    assert refused.status == 1
    assert "run 20260101-000000-000001 has just begun, and has no plan yet" in refused.error
    lock.release()
    assert plimsoll("clean", "--yes").status == 0
    never = plimsoll("clean", "-f", "elsewhere/plimsoll.yaml")
    assert never.status == 2
    assert "no such application file" in never.error


def test_sizes_follow_no_links_and_count_what_has_two_names_once(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"x" * 1000)
    place = tmp_path / "place"
    (place / "below").mkdir(parents=True)
    (place / "a").write_bytes(b"x" * 10)
    os.link(place / "a", place / "below" / "b")
    (place / "below" / "link").symlink_to(tmp_path / "elsewhere")
    (place / "below" / "up").symlink_to(tmp_path)
    os.mkfifo(place / "fifo")
    assert sizes.size_of(place) == 10
    assert sizes.size_of(place / "below" / "link") == 0
    assert sizes.size_of(tmp_path / "nothing") == 0


def test_of_ten_thousand_runs_only_the_newest_are_counted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = StateDirectory(tmp_path)
    for number in range(500):
        run = state.runs / f"run-{number:05}"
        run.mkdir(parents=True)
        (run / "journal.jsonl").write_bytes(b"x" * 10)
        os.utime(run, (number, number))
    cache = tmp_path / "cache.json"
    assert sizes.sizes_of_entries(state.runs, cache) == 5000
    counted: list[str] = []
    whole = sizes.size_of

    def counting(path: str) -> int:
        counted.append(path)
        return whole(path)

    monkeypatch.setattr(sizes, "size_of", counting)
    (state.runs / "run-00007" / "report.html").write_bytes(b"y" * 7)
    os.utime(state.runs / "run-00007", (499.5, 499.5))
    assert sizes.sizes_of_entries(state.runs, cache) == 5007
    assert len(counted) < 50
    cache.write_bytes(b"no JSON")
    assert sizes.sizes_of_entries(state.runs, cache) == 5007


def test_an_environment_goes_only_when_no_application_uses_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    ours, theirs = StateDirectory(tmp_path / "ours"), StateDirectory(tmp_path / "theirs")
    shared, own, unknown, ancient = (cache_directory() / (name * 16) for name in ("a1", "b2", "c3", "d4"))
    for place in (shared, own, unknown, ancient):
        place.mkdir(parents=True)
        (place / COMPLETE).write_bytes(b"12345")
    os.utime(ancient / COMPLETE, (0, time.time() - UNKNOWN - 10))
    for state, place in ((ours, shared), (theirs, shared), (ours, own)):
        key = f"key-of-{place.name[:2]}"
        (state.results / key).mkdir(parents=True, exist_ok=True)
        (state.results / key / "result.json").write_text("{}")
        record_use(place, state, key)
    environments = Environments(ours)
    assert environments.sizes() == {"environments": 10}
    assert [each.name for each in environments.find(["key-of-a1", "key-of-b2"], print)] == [ancient.name]
    assert [each.name for each in environments.find([], print)] == [own.name, ancient.name]
    with (own.with_suffix(".lock")).open("ab") as busy:
        fcntl.flock(busy, fcntl.LOCK_SH)
        assert [each.name for each in environments.remove([], print)] == [ancient.name]
    assert [each.name for each in environments.remove([], print)] == [own.name]
    assert sorted(path.name for path in cache_directory().iterdir() if path.is_dir() and not path.suffix) == [
        shared.name,
        unknown.name,
    ]
    (theirs.results / "key-of-a1" / "result.json").unlink()
    aged = next(each for each in shared.with_suffix(".uses").iterdir())
    os.utime(aged, (0, 0))
    assert [each.name for each in environments.remove([], print)] == [shared.name]


def test_status_counts_what_is_there_where_nothing_may_be_written(tmp_path: Path) -> None:
    target = LocalTarget(tmp_path)
    assert set(engine_sizes.sizes(target)) == {"results", "checkpoints", "environments", "registry", "logs", "drift"}
    target.state.make()
    (target.state.results / "k").mkdir()
    (target.state.results / "k" / "result.json").write_text(json.dumps({}))
    assert engine_sizes.sizes(target)["results"] == 2


def test_what_lies_on_a_disk_of_its_own_goes_as_a_whole_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "results" / "key"
    (place / "output").mkdir(parents=True)
    whole = Path.rename

    def rename(path: Path, target: Path) -> Path:
        if target.parent != path.parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return whole(path, target)

    monkeypatch.setattr(Path, "rename", rename)
    remove_whole(place, tmp_path / "removed")
    assert list((tmp_path / "results").iterdir()) == []


def test_a_service_that_is_to_be_up_keeps_its_versions_and_its_table_while_it_is_down(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    state.make()
    table = {"name": "d", "step": "run/d", "key": "k1"}
    for place, content in {
        "keeper/wanted/s.json": {"work": {"service": "s", "model": "m@2", "reference": table}},
        "keeper/wanted/plain.json": {"work": {"service": "plain", "model": "m@2"}},
        "services/s/service.json": {
            "models": [{"name": "m", "version": "2", "path": "/x/model.onnx"}],
            "former": {"m": "1"},
        },
    }.items():
        path = state.root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    uses = version_uses(state)
    assert {use.reference for use in uses} == {"", "m@2", "m@1"}
    assert {key for use in uses for key in use.keys} == {"k1"}
    for key in ("k1", "k2"):
        (state.results / key).mkdir()
    assert [each.name for each in Cleaning(LocalTarget(tmp_path)).find().removals] == ["k2"]
    (state.services / "s" / "service.json").write_text("{")
    with pytest.raises(PlimsollError, match="this is no service file"):
        Cleaning(LocalTarget(tmp_path)).find()
