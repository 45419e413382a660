"""A front without a socket and without a wire format, for tests of the data plane."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from plimsoll.runtime.server.administration import Administration
from plimsoll.runtime.server.catalog import Catalog
from plimsoll.runtime.server.counts import Record
from plimsoll.runtime.server.data_plane import DataPlane, Limits
from plimsoll.runtime.server.inference import InferenceCall
from plimsoll.runtime.server.observers import Observers
from plimsoll.runtime.server.request import InferenceRequest
from plimsoll.runtime.server.served import Served
from plimsoll.runtime.server.service_file import ModelFile, ServiceFile
from plimsoll.runtime.tensors import Array, datatype_of
from tests.runtime.conftest import TOKEN

X = np.array([[3, 1], [1, 1]], dtype=np.float32)


class DirectCall(InferenceCall[dict[str, Array]]):
    """A front without a wire format: arrays in, arrays out."""

    def __init__(
        self,
        inputs: Mapping[str, Array],
        *,
        model: str = "m",
        version: str | None = None,
        headers: Mapping[str, str] | None = None,
        parameters: Mapping[str, object] | None = None,
        outputs: Sequence[str] = (),
    ) -> None:
        super().__init__(model, version, headers or {}, "here")
        self._asked = InferenceRequest(inputs=dict(inputs), parameters=parameters or {}, outputs=outputs)

    def read(self, served: Served) -> InferenceRequest:
        for name, array in self._asked.inputs.items():
            served.model.check(name, datatype_of(array), array.shape)
        return self._asked

    def write(self, results: dict[str, Array]) -> dict[str, Array]:
        return {name: array.copy() for name, array in results.items()}


class BrokenCall(DirectCall):
    def write(self, results: dict[str, Array]) -> dict[str, Array]:
        raise RuntimeError("a defect of a front")


def plane_of(
    source: Callable[[], ServiceFile] | Path, *, limits: Limits | None = None, observers: Observers | None = None
) -> DataPlane:
    """A data plane with one model file as version 3 of `m`, or with what a source names."""
    if isinstance(source, Path):
        file = ServiceFile(models=(ModelFile(name="m", version="3", path=str(source)),))
        catalog = Catalog(lambda: file)
    else:
        catalog = Catalog(source)
    catalog.load_first()
    return DataPlane(catalog, observers, limits, Administration(TOKEN))


def infer(plane: DataPlane, call: DirectCall) -> dict[str, Array]:
    return asyncio.run(plane.infer(call))


def record_of(plane: DataPlane, version: str = "3") -> Record:
    return plane.catalog.records["m", version].answers
