"""From a version of the service file that is not an ONNX model by itself to what answers for it."""

from __future__ import annotations

from pathlib import Path

from plimsoll.errors import TargetError
from plimsoll.files import digest_of_file
from plimsoll.runtime.server.predictors.function import Function
from plimsoll.runtime.server.predictors.own_server import OwnServer
from plimsoll.runtime.server.predictors.pipeline import Pipeline
from plimsoll.runtime.server.predictors.runner import Runner
from plimsoll.runtime.server.service_file import ModelFile


def runner_of(file: ModelFile, threads: int) -> Runner:
    """Start what a version needs; it is up when this returns. Raises PlimsollError with the reason when it is not."""
    if file.steps:
        return Pipeline(file, threads, runner_of)
    _require_unaltered(file)
    if file.code is None:
        raise TargetError("it has neither a model, nor code, nor steps", where=file.name)
    if file.code.script:
        return Function(file.code, file.path, threads)
    return OwnServer(file.code, file.name, file.path)


def _require_unaltered(file: ModelFile) -> None:
    """Raise TargetError unless the model's files, which the code is given, have their digests."""
    for path, digest in file.files.items():
        try:
            found = digest_of_file(Path(path))
        except OSError as error:
            raise TargetError(f"a file of the model cannot be read: {error.strerror}", where=path) from error
        if found != digest:
            hint = "restore the registry from a copy, or pull the model again"
            raise TargetError("a file of the model was altered: its digest differs", where=path, hint=hint)
