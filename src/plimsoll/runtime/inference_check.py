"""Check that a service answers: real inferences on zeros in the shape of the model's inputs, or on a given sample."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TypedDict

import msgspec
from msgspec import Struct

from plimsoll.errors import RequestError, TargetError
from plimsoll.runtime import client
from plimsoll.runtime.client import OipMessage, RequestRefused

SIZES = (1, 4, 16, 64, 224, 512)
"""Sizes for open dimensions, in the order in which they are tried: convolutions refuse images below some size."""
LONGEST_EXAMPLE = 2000
"""Characters of a request that is shown to people."""
MOST_ELEMENTS = 4 << 20
"""Zeros of one request: as JSON, 8 MiB."""


class SampleInput(TypedDict, total=False):
    """An input that a model takes: its shape, and its values in row-major order. Zeros stand for values left out."""

    shape: Sequence[int]
    data: Sequence[object]


Sample = Mapping[str, SampleInput]
"""Inputs by name. An input that is left out is made from the model's metadata."""


class Checked(Struct, frozen=True, kw_only=True):
    """A service that has answered: the seconds of a warm request, and the request."""

    seconds: float
    request: OipMessage

    @property
    def example(self) -> str:
        """The request as JSON; empty where it is longer than anybody reads."""
        text = msgspec.json.encode(self.request).decode()
        return text if len(text) <= LONGEST_EXAMPLE else ""


def check_inference(url: str, model: str, sample: Sample | None = None) -> Checked:
    """Send two requests, and give the second, warm one.

    Raises RequestError with the server's reason, TargetError when the outputs are not those of the metadata or when the
    sample names an input that the model does not have.
    """
    metadata = client.metadata(url, model)
    request = _accepted_request(url, model, metadata, sample or {})
    began = time.perf_counter()
    answer = client.infer(url, model, request)
    seconds = time.perf_counter() - began
    listed = {tensor["name"] for tensor in metadata["outputs"]}
    returned = {tensor["name"] for tensor in answer["outputs"]}
    if returned != listed:
        raise TargetError(
            f"the server returned the outputs {sorted(returned)}, its metadata lists {sorted(listed)}", where=url
        )
    return Checked(seconds=seconds, request=request)


def _accepted_request(url: str, model: str, metadata: OipMessage, sample: Sample) -> OipMessage:
    """The first request that the model computes with. Raises RequestError with the reason for the first that it got."""
    names = [tensor["name"] for tensor in metadata["inputs"]]
    unknown = [name for name in sample if name not in names]
    if unknown:
        hint = f"the model has the inputs {', '.join(names)}"
        raise TargetError(f"the sample has an input '{unknown[0]}' that the model does not have", where=url, hint=hint)
    first: RequestRefused | None = None
    for request in _requests(metadata["inputs"], sample):
        try:
            client.infer(url, model, request)
        except RequestRefused as refused:
            first = first or refused
        else:
            return request
    hint = "give the service a `sample` that the model takes, such as sample: {image: {shape: [1, 3, 224, 224]}}"
    reason = first.message if first else "its inputs are too large to be filled with zeros"
    message = f"the model refuses what it was tested with: {reason}"
    raise RequestError(message, where=url, hint=hint, lasting=True) from first


def _requests(inputs: Sequence[OipMessage], sample: Sample) -> Iterator[OipMessage]:
    """Requests with larger and larger open dimensions: the batch is 1 as long as others are open."""
    made: list[list[list[int]]] = []
    given = [sample.get(tensor["name"], {}) for tensor in inputs]
    for size in SIZES:
        for batch in dict.fromkeys((1, size)):
            shapes = [
                list(each.get("shape") or _shape(tensor["shape"], batch, size))
                for tensor, each in zip(inputs, given, strict=True)
            ]
            if shapes in made or sum(map(math.prod, shapes)) > MOST_ELEMENTS:
                continue
            made.append(shapes)
            yield {"inputs": [_tensor(*each) for each in zip(inputs, shapes, given, strict=True)]}


def _shape(shape: Sequence[int], batch: int, size: int) -> list[int]:
    return [each if each >= 0 else batch if place == 0 else size for place, each in enumerate(shape)]


_ZERO: dict[str, object] = {"BOOL": False, "BYTES": ""}


def _tensor(tensor: OipMessage, shape: Sequence[int], given: SampleInput) -> OipMessage:
    """The input as it is given, or zeros."""
    datatype = tensor["datatype"]
    data = list(given.get("data") or ()) or [_ZERO.get(datatype, 0)] * math.prod(shape)
    return {"name": tensor["name"], "datatype": datatype, "shape": list(shape), "data": data}
