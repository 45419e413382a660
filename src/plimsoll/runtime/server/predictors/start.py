"""From a version of the service file that is not an ONNX model by itself to what answers for it."""

from __future__ import annotations

from plimsoll.errors import TargetError
from plimsoll.runtime.server.predictors.function import Function
from plimsoll.runtime.server.predictors.own_server import OwnServer
from plimsoll.runtime.server.predictors.pipeline import Pipeline
from plimsoll.runtime.server.predictors.runner import Runner
from plimsoll.runtime.server.service_file import ModelFile
from plimsoll.runtime.server.unaltered import require_unaltered


def runner_of(file: ModelFile, threads: int) -> Runner:
    """Start what a version needs; it is up when this returns. Raises PlimsollError with the reason when it is not."""
    if file.steps:
        return Pipeline(file, threads, runner_of)
    require_unaltered(file)
    if file.code is None:
        raise TargetError("it has neither a model, nor code, nor steps", where=file.name)
    if file.code.script:
        return Function(file.code, file.path, threads)
    return OwnServer(file.code, file.name, file.path)
