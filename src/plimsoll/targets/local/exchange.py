"""This machine in a run over several targets: its results for others, and theirs in its state directory."""

from __future__ import annotations

import hashlib
from pathlib import Path

from msgspec.structs import replace

from plimsoll.errors import ModelRefused, TargetError
from plimsoll.kinds.dataset import FetchResult
from plimsoll.kinds.register import RegisterResult
from plimsoll.planning.steps import AnyStep
from plimsoll.state.directory import StateDirectory
from plimsoll.state.integrity import OUTPUT
from plimsoll.state.results import Result, result_from_json
from plimsoll.targets.exchange import Content, Files, Image, Parcel
from plimsoll.targets.local.session import stored_result
from plimsoll.targets.local.sources import source_in_place
from plimsoll.targets.models import model_registry

HINT = "run again to make it anew"


class LocalExchange:
    """The results of one application on this machine."""

    registry = ""

    def __init__(self, state: StateDirectory, directory: Path) -> None:
        self._state = state
        self._directory = directory

    def content(self, step: AnyStep) -> Content | None:
        """What is here of a step."""
        result = stored_result(self._state, step, self._directory)
        if result is None:
            return None
        if isinstance(result, RegisterResult):
            return Content(digest=result.digest, size=size_of_version(self._state, step, result))
        return Content(size=_size(self._state, result))

    def give(self, step: AnyStep) -> Files:
        """The files of a finished step; a source where it lies."""
        result = stored_result(self._state, step, self._directory)
        if result is None:
            raise TargetError("its result is missing", where=step.name, hint=HINT)
        if isinstance(result, FetchResult) and result.source is not None:
            return Files(path=source_in_place(self._state, result.source, result.sha256), result=result)
        output = self._state.output(step.key)
        single = isinstance(result, FetchResult) and len(result.outputs) == 1
        return Files(path=output / result.outputs[0].name if single else output, result=result)

    def take(self, step: AnyStep, parcel: Parcel) -> Content:
        """Pull a result out of the registry in which it lies; it appears whole and verified, or not at all."""
        assert isinstance(parcel, Image)  # noqa: S101 - what is on this machine already is not brought to it
        from plimsoll.runtime import artifacts

        result = result_from_json(parcel.values, step.work.result)
        if result is None:
            raise TargetError("its result cannot be read", where=step.name, hint=HINT)
        if isinstance(result, FetchResult) and result.source is not None:
            source_in_place(self._state, result.source, result.sha256)
        work = self._state.fresh_work(step.key)
        if not isinstance(result, FetchResult) or result.source is None:
            artifacts.pull(parcel.repository, parcel.digest, work / OUTPUT)
        if isinstance(result, FetchResult):
            result = _as_fetched_here(result, work / OUTPUT)
        self._state.commit(step.key, result)
        return Content(digest=parcel.digest, size=_size(self._state, result))

    def take_model(self, step: AnyStep, registered: RegisterResult) -> Content:
        """Know what was registered: the version itself is on this machine, where it was signed."""
        size = size_of_version(self._state, step, registered)
        self._state.fresh_work(step.key)
        self._state.commit(step.key, replace(registered, reference=None))
        return Content(digest=registered.digest, size=size)


def size_of_version(state: StateDirectory, step: AnyStep, registered: RegisterResult) -> int:
    """The bytes of a version that a step has registered. Raises ModelRefused for another than that."""
    version = model_registry(state).find(registered.version_of(step.part))
    if version.digest != registered.digest:
        message = f"{version.reference} is {version.digest}, and {step.name} has registered {registered.digest}"
        raise ModelRefused(message, where=str(state.registry), hint=HINT)
    return sum(file.size for file in version.files.values())


def _as_fetched_here(result: FetchResult, output: Path) -> FetchResult:
    """A source as this machine fetches it: a single file has its digest, and no mark beside it."""
    from plimsoll.runtime.pod.store import SINGLE_FILE_MARK

    mark = output / SINGLE_FILE_MARK
    if result.source is not None or not mark.is_file():
        return result
    name = mark.read_text(encoding="utf-8")
    mark.unlink()
    with (output / name).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return replace(result, sha256=digest, outputs=tuple(each for each in result.outputs if each.name == name))


def _size(state: StateDirectory, result: Result) -> int:
    if isinstance(result, FetchResult) and result.source is not None:
        return size_of_path(state.application / result.source)
    return sum(file.size for file in result.outputs)


def size_of_path(path: Path) -> int:
    """The bytes of a file, or of all files below a directory; 0 for what cannot be read."""
    try:
        if path.is_file():
            return path.stat().st_size
        return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())
    except OSError:
        return 0
