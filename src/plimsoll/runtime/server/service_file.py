"""The service file: the models of a server. The server reads it at its start and again at SIGHUP.

The local target writes it, and `plimsoll promote` changes the weights in it; each replaces the file as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import msgspec
from msgspec import Struct

from plimsoll.assistants.settings import AssistantSettings
from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import TargetError
from plimsoll.llms.settings import LlmSettings
from plimsoll.runtime.server.traffic import Share
from plimsoll.runtime.specs import TensorSpec


class Example(Struct, frozen=True, kw_only=True):
    """An input that code takes: its shape, and its values in row-major order; without values, zeros."""

    shape: tuple[int, ...]
    data: tuple[bool | int | float | str, ...] = ()


class Sandboxed(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The sandbox of the user's own code: bubblewrap with its arguments.

    `strict` is one that gets neither variables with credentials, but those that are named, nor all calls of the system.
    """

    argv: tuple[str, ...]
    strict: bool = False
    network: bool = True
    variables: tuple[str, ...] = ()


class OwnCode(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The user's own code, which answers in a process of its own.

    `argv` is its command. It runs in `directory` with `environment` added to the server's own variables; `None` takes
    one away. `script` is the word of `argv` that names a file with `predict(inputs)`; without it the command is
    an HTTP server on $PORT. `inputs` and `outputs` are declared tensors, `sample` inputs to try it with. `memory` is a
    limit in bytes for its processes together. Without a `sandbox` they see what the server sees. `files` are digests of
    the code's files by path: what is started again later must be the same code.
    """

    argv: tuple[str, ...]
    script: str = ""
    directory: str = ""
    environment: dict[str, str | None] = {}
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    sample: dict[str, Example] = {}
    memory: int | None = None
    sandbox: Sandboxed | None = None
    files: dict[str, str] = {}


class ModelFile(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One version of a model: an ONNX file, and its digest in the registry.

    `files` are the digests (`sha256:…`) of this file and of those that belong to it, by path. They are checked each
    time that the version is loaded: files on a disk can change after their signature was verified.

    With `code` it is the user's own code that answers; `path` is then the directory of the model's files that the code
    is given, empty without a model. With `steps` it is a pipeline of these, in order; the `name` of a step is what the
    pipeline calls it, and `reference` is the version that it runs, empty without a model. With `index` it is a search
    index, and `path` one of its files. With `llm` it is a language model, of which `path` is the file; empty for an
    endpoint. With `assistant` it answers by an index and a language model of the same file, and has no file itself.
    """

    name: str
    version: str
    path: str = ""
    digest: str = ""
    files: dict[str, str] = {}
    code: OwnCode | None = None
    steps: tuple[ModelFile, ...] = ()
    reference: str = ""
    llm: LlmSettings | None = None
    index: bool = False
    assistant: AssistantSettings | None = None

    def places(self) -> frozenset[str]:
        """The directories of the models that it needs."""
        if self.steps:
            return frozenset().union(*(step.places() for step in self.steps))
        if self.assistant is not None:
            return frozenset()
        if self.code is not None:
            return frozenset({self.path} if self.path else ())
        if self.llm is not None:
            return frozenset(str(PurePosixPath(path).parent) for path in self.files)
        return frozenset({str(PurePosixPath(self.path).parent)})

    def commands(self) -> Iterator[OwnCode]:
        """The user's own code in it."""
        if self.code is not None:
            yield self.code
        for step in self.steps:
            yield from step.commands()


class Batching(Struct, frozen=True, kw_only=True):
    """How a model's requests are batched.

    `rows` is the largest batch, 1 switches batching off. `wait` is the longest time in seconds that a request waits for
    others. With `budget`, a request never waits so long that its answer takes more seconds than that; `None`: no limit.
    """

    rows: int = 1
    wait: float = 0.0
    budget: float | None = None

    def latest_start(self, arrived: float, expected: float) -> float:
        """The latest start of a batch whose oldest request arrived at `arrived` and which takes `expected` seconds."""
        wait = self.wait if self.budget is None else min(self.wait, self.budget - expected)
        return arrived + max(0.0, wait)


@decodable
class ServiceFile(Struct, frozen=True, kw_only=True):
    """Models, and the traffic shares and the batching of each, by the model's name.

    A model without shares answers with its newest version. `former` is the version that a model's requests went to
    before its last promotion; `plimsoll rollback` leads them back to it.
    """

    models: tuple[ModelFile, ...]
    traffic: dict[str, tuple[Share, ...]] = {}
    batching: dict[str, Batching] = {}
    former: dict[str, str] = {}


def read_service_file(path: Path) -> ServiceFile:
    """The file's content. Raises TargetError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=ServiceFile)
    except OSError as error:
        raise TargetError(f"the service file cannot be read: {error.strerror}", where=str(path)) from error
    except UNREADABLE as error:
        raise TargetError(f"this is no service file: {error}", where=str(path)) from error


def in_directory(directory: Path) -> tuple[ModelFile, ...]:
    """The models at `<name>/<version>/model.onnx` in a directory; versions are whole numbers. Raises TargetError."""
    if not directory.is_dir():
        raise TargetError("there is no such directory", where=str(directory))
    found = []
    for path in sorted(directory.glob("*/*/model.onnx")):
        version = path.parent.name
        if version.isdigit():
            found.append(ModelFile(name=path.parent.parent.name, version=version, path=str(path)))
    return tuple(found)


def newest(versions: list[str]) -> str:
    """The newest version: the largest number, or the last word in alphabetical order when there is no number."""
    return max(versions, key=lambda version: (version.isdigit(), int(version) if version.isdigit() else 0, version))
