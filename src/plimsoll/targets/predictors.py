"""The entries of a service file for what is not an ONNX model by itself, the same on every target. Pure."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from plimsoll.kinds.predictors import ServedStep, Tensor
from plimsoll.kinds.serve import Serve
from plimsoll.kinds.service_settings import SampleInput
from plimsoll.runtime.outputs import argv_of
from plimsoll.runtime.server.service_file import Example, ModelFile, OwnCode, Sandboxed
from plimsoll.runtime.specs import TensorSpec

ALONE = "1"
"""The version of what has no model whose version it could have."""


class Surroundings(Struct, frozen=True, kw_only=True):
    """Where the code of a service runs on a target: its directory, its variables, its memory's limit, its sandbox."""

    directory: str
    environment: Mapping[str, str | None]
    memory: int | None = None
    sandbox: Sandboxed | None = None


def served_alone(work: Serve, steps: Sequence[ModelFile], where: Surroundings) -> ModelFile:
    """The entry of a service without a model of its own: a command, or a pipeline of `steps`."""
    code = own_code(work.own, where, work.sample) if work.own is not None else None
    return ModelFile(
        name=work.served_name, version=ALONE, digest=f"sha256:{identity(work)}", code=code, steps=tuple(steps)
    )


def identity(work: Serve) -> str:
    """SHA-256 of everything of the user's own code that makes its answers what they are; empty without any."""
    if work.own is None and not work.pipeline:
        return ""
    content = msgspec.json.encode([work.own, work.pipeline, work.environment], order="sorted")
    return hashlib.sha256(content).hexdigest()


def own_code(step: ServedStep, where: Surroundings, sample: Mapping[str, SampleInput]) -> OwnCode:
    """A command as a server is told of it."""
    return OwnCode(
        argv=tuple(shlex.split(step.command)) if step.script else tuple(argv_of(step.command)),
        script=step.script,
        directory=where.directory,
        environment={**where.environment, **step.parameters},
        inputs=_specs(step.inputs),
        outputs=_specs(step.outputs),
        sample={name: Example(shape=each.shape, data=each.data) for name, each in sample.items()},
        memory=where.memory,
        sandbox=where.sandbox,
        files=dict(step.files),
    )


def _specs(tensors: Mapping[str, Tensor]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(name=name, datatype=each.datatype, shape=each.shape) for name, each in tensors.items())
