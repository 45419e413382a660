"""The state directory next to the application file.

    .plimsoll/
      lock                      the process that runs now
      digests.json              cached digests of sources by path, size and time
      runs/<run>/               journal.jsonl, logs/<verb>/<part>/<attempt>-<rank>.log, report.html
      results/<key>/            result.json with the digests of output/; exists only when the step is done
      work/<key>/               the current attempt; afterwards a link to the result, so that paths in it hold
      checkpoints/<key>/        survives restarts; removed when the step is done
      curves/<key>.jsonl        points of the attempts of a training before its last one
      registry/                 models, an OCI image layout
      keeper/                   what keeps services up apart from runs; see targets.local.keeper.records
      moves.jsonl               which version each service moved to, when and why
      services/<name>.json      address and pid of a running service
      services/<name>/          service.json: served versions and their weights; promote changes it
      drift/<digest>.json       a model's features in training; <service>.<version>.state.json: its live features
      references/<digest>       link to the newest drift reference of a model, by its digest
      logs/<service>/           access.jsonl and audit.jsonl of a service, when enabled
      audit-keys/<service>/     key.pem signs checkpoints of its audit log; certificates/ say so by the owner's key
      quarantine/<service>-…/   evidence that was kept when a version went into quarantine, with signed digests
      code/<digest>             files of the code that runs were given, until their models are registered
      sizes/                    how large the older runs and results are
      run-order.json            numbers of the older runs; may be deleted
      beginning.lock            held by runs that begin and by `plimsoll clean`
      removed/                  what is about to be deleted
      ui/                       an index of the runs, for the live page; may be deleted
      changes/<index>.jsonl     documents of an index that were put in or deleted over HTTP since it was built
      stores/<name>.json        a place in a store of vectors that a build of an index has made
      latest/<verb>/<part>      link to the files of a step's newest result

Another target has the same layout below targets/<target>/; models, code and digests are shared by all targets.

A result appears by one rename after all of its files are flushed to disk, so an existing result is complete.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
from pathlib import Path

import msgspec

from plimsoll.decoding import UNREADABLE
from plimsoll.errors import TargetError
from plimsoll.files import flush
from plimsoll.state.curves import FILE as CURVE
from plimsoll.state.curves import Series, add_attempt, joined, read_rows, series_of
from plimsoll.state.integrity import OUTPUT, StoredResult, read_stored, seal
from plimsoll.state.results import AnyResult, OutputFile, Result
from plimsoll.state.run_order import FILE as RUN_ORDER
from plimsoll.state.run_order import JOURNAL, number_of, runs_in_order
from plimsoll.vault.use import SEALED, is_vault, plain_state

NAME = ".plimsoll"
LOCAL = "local"


class StateDirectory:
    """Paths of the state directory, and the operations that must survive a kill at any moment."""

    def __init__(self, beside: Path, target: str = LOCAL) -> None:
        common = plain_state(beside / NAME)
        self.application = beside
        self.common = common
        self.root = common if target == LOCAL else common / "targets" / _file_name(target)
        self.lock = self.root / "lock"
        self.digests = common / "digests.json"
        self.runs = self.root / "runs"
        self.results = self.root / "results"
        self.work = self.root / "work"
        self.checkpoints = self.root / "checkpoints"
        self.curves = self.root / "curves"
        self.registry = common / "registry"
        self.services = self.root / "services"
        self.latest = self.root / "latest"
        self.drift = self.root / "drift"
        self.references = self.root / "references"
        self.service_logs = self.root / "logs"
        self.audit_keys = self.root / "audit-keys"
        self.removed = self.root / "removed"
        self.code = common / "code"
        self.gate = common / "beginning.lock"
        self.changes = self.root / "changes"
        self.stores = self.root / "stores"
        self.moves = self.root / "moves.jsonl"
        self._stored: dict[str, StoredResult] = {}

    @property
    def identity(self) -> Path:
        """A file that this directory has on the disk as long as there is one, and that no other directory has."""
        kept = self.application / NAME
        return kept / SEALED if is_vault(kept) else self.lock

    def keep_runs_in(self, other: StateDirectory) -> None:
        """Have the runs of this target in the state directory of another: of one run over both there is one journal."""
        self.runs = other.runs

    def on(self, target: str) -> StateDirectory:
        """The state directory of the same application on another target; itself without a name."""
        return StateDirectory(self.application, target) if target else self

    def make(self) -> None:
        """Create the directory. Raises TargetError when it is not writable."""
        try:
            for directory in (self.runs, self.results, self.work, self.checkpoints, self.services):
                directory.mkdir(parents=True, exist_ok=True)
            ignore = self.registry.parent / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n", encoding="ascii")
        except OSError as error:
            raise TargetError(
                f"cannot write the state directory: {error.strerror}",
                where=str(self.root),
                hint="make the application's directory writable, or copy the application to one that is",
            ) from error

    def shown(self, path: Path) -> str:
        """A path as people read it: relative to the application, also where it is open in another place."""
        if path.is_relative_to(self.common):
            path = self.application / NAME / path.relative_to(self.common)
        return os.path.relpath(path, self.application)

    def found(self, path: Path) -> Path:
        """Where a path is that somebody names: below `.plimsoll`, it may be open in another place."""
        kept, named = (self.application / NAME).absolute(), path.absolute()
        return self.common / named.relative_to(kept) if named.is_relative_to(kept) and not named.exists() else path

    def result(self, key: str, shape: type[AnyResult]) -> AnyResult | None:
        """The result of a key; None unless its step is done and all of its files are as the step wrote them."""
        try:
            stored = self._stored.get(key)
            if stored is None or not stored.is_current():
                stored = self._stored[key] = read_stored(self.results / key)
            result = msgspec.json.decode(stored.content, type=shape)
        except (*UNREADABLE, OSError):
            return None
        in_place = [file for file in result.outputs if file.path is not None]
        if not all(self._has_size(file) for file in in_place):
            return None
        return result if stored.is_unaltered(result.outputs) else None

    def journal(self, run: str) -> Path:
        """The path of a run's journal."""
        return self.runs / run / JOURNAL

    def has_run(self, run: str) -> bool:
        """Whether there is a run of exactly this id."""
        return run == Path(run).name and self.journal(run).is_file()

    def run_ids(self) -> list[str]:
        """The ids of all runs that have a journal, in the order in which they began, whatever the clock did."""
        return list(self.run_numbers())

    def run_numbers(self) -> dict[str, int]:
        """The numbers of all runs that have a journal, in the same order."""
        return runs_in_order(self.runs, self.root / RUN_ORDER)

    def run_number(self, run: str) -> int:
        """The number of a run among the runs on this target, from 1; 0 for a run that recorded none."""
        return number_of(self.journal(run))

    def logs(self, run: str) -> Path:
        """The directory of a run's logs."""
        return self.runs / run / "logs"

    def log(self, run: str, step: str, attempt: int, process: str | int) -> Path:
        """The log file of a process of an attempt; `process` is a rank, or a name such as `rendezvous`."""
        path = self.logs(run) / step / f"{attempt}-{process}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def output(self, key: str) -> Path:
        """The directory of the files of a finished step."""
        return self.results / key / OUTPUT

    def fresh_work(self, key: str) -> Path:
        """Create an empty directory for an attempt, with `output/` in it."""
        directory = self.work / key
        try:
            directory.mkdir(parents=True)
        except FileExistsError:
            directory.unlink() if directory.is_symlink() else self._discard(directory)
            directory.mkdir()
        (directory / OUTPUT).mkdir()
        return directory

    def discard_work(self, key: str) -> None:
        """Delete the directory of an attempt that has failed. Raises OSError."""
        self._discard(self.work / key)

    def curve(self, key: str) -> Series:
        """The curve of a training over all of its attempts, also of the one that goes on."""
        earlier, present = self.curve_files(key)
        return series_of(joined(read_rows(earlier), read_rows(present)))

    def curve_files(self, key: str) -> tuple[Path, Path]:
        """The files with the points of earlier attempts at a training, and of the present or last one."""
        work = self.work / key
        present = self.results / key if work.is_symlink() or not work.exists() else work
        return self.earlier_points(key), present / OUTPUT / CURVE

    def earlier_points(self, key: str) -> Path:
        """The file with the points of the attempts of a training before its last one."""
        return self.curves / f"{key}.jsonl"

    def token_file(self, service: str) -> Path:
        """The file with the token of a service's owner."""
        return self.services / f"{service}.token"

    def token(self, service: str) -> str:
        """The token of a service's owner; empty where no server has run."""
        try:
            return self.token_file(service).read_text(encoding="utf-8").strip()
        except OSError:
            return ""

    def forget(self, key: str) -> None:
        """Delete a result on this machine, and the points of the attempts that led to it. Raises OSError."""
        self._stored.pop(key, None)
        if (self.results / key).exists():
            shutil.rmtree(self.results / key)
        self.forget_attempts(key)

    def forget_attempts(self, key: str) -> None:
        """Begin the curve of a training anew."""
        self.earlier_points(key).unlink(missing_ok=True)

    def commit(self, key: str, result: Result) -> None:
        """Make the attempt's directory the result of its step, atomically even when the process is killed."""
        directory = self.work / key
        for path in directory.iterdir():
            if path.name != OUTPUT:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        final = self.results / key
        stored = seal(directory, result, final)
        if final.exists():
            shutil.rmtree(final)
        directory.rename(final)
        self._stored[key] = stored
        flush(self.results)
        self._link_work(key)
        shutil.rmtree(self.checkpoints / key, ignore_errors=True)

    def link_latest(self, step: str, key: str, carried_out_on: str = "") -> None:
        """Link `latest/<verb>/<part>` to the files of a finished step, where users look for them.

        Of a run over several targets, `carried_out_on` is the one that has the result.
        """
        link = self.latest / step
        parent = link.parent
        target = os.path.relpath(self.on(carried_out_on).output(key), parent)
        try:
            link.symlink_to(target)
        except FileNotFoundError:
            parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(target)
        except FileExistsError:
            temporary = parent / f".{link.name}.{os.getpid()}"
            temporary.unlink(missing_ok=True)
            temporary.symlink_to(target)
            temporary.replace(link)

    def clear_work(self) -> None:
        """Delete the directories of killed attempts, and link those of all results."""
        for directory in self.work.iterdir():
            if not directory.is_symlink():
                with contextlib.suppress(OSError):
                    self._discard(directory)
            elif not directory.exists():
                directory.unlink()
        for result in self.results.iterdir():
            self._link_work(result.name)

    def _discard(self, directory: Path) -> None:
        """Delete the directory of an attempt that is over, and keep the points of its curve."""
        with contextlib.suppress(OSError):
            # A disk that is full keeps no curve, and no attempt from its end.
            add_attempt(self.earlier_points(directory.name), directory / OUTPUT / CURVE)
        shutil.rmtree(directory)

    def _has_size(self, file: OutputFile) -> bool:
        """Whether a file that is used in place has the size that it had."""
        try:
            return (self.application / (file.path or "")).stat().st_size == file.size
        except OSError:
            return False

    def _link_work(self, key: str) -> None:
        """Let the paths that a command saw while it ran lead to its result, because its files may contain them."""
        with contextlib.suppress(FileExistsError):
            (self.work / key).symlink_to(f"../{self.results.name}/{key}")


def _file_name(target: str) -> str:
    """A directory name for a target: a context may have any name, such as the path of a cloud resource."""
    word = re.sub(r"[^A-Za-z0-9._-]+", "-", target).strip(".-")
    return word if word == target else f"{word[:60]}-{hashlib.sha256(target.encode()).hexdigest()[:8]}"
