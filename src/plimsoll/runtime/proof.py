"""Proof that a service answers: one real inference of zeros in the model's own shape."""

from __future__ import annotations

import time
from typing import Any

from plimsoll.errors import TargetError
from plimsoll.runtime import client


def prove(url: str, model: str) -> float:
    """Ask twice; gives the seconds of the second, warm request.

    Raises RequestError with the server's reason when it does not answer as the protocol says.
    """
    metadata = client.metadata(url, model)
    request = {"inputs": [_zeros(tensor) for tensor in metadata["inputs"]]}
    client.infer(url, model, request)
    began = time.perf_counter()
    answer = client.infer(url, model, request)
    seconds = time.perf_counter() - began
    promised = {tensor["name"] for tensor in metadata["outputs"]}
    given = {tensor["name"] for tensor in answer["outputs"]}
    if given != promised:
        raise TargetError(
            f"the server gave the outputs {sorted(given)}, its metadata promises {sorted(promised)}", where=url
        )
    return seconds


_ZERO: dict[str, Any] = {"BOOL": False, "BYTES": ""}


def _zeros(tensor: dict[str, Any]) -> dict[str, Any]:
    """A tensor of zeros in a model's own shape; open dimensions are one."""
    shape = [max(1, size) for size in tensor["shape"]]
    count = 1
    for size in shape:
        count *= size
    datatype = tensor["datatype"]
    return {"name": tensor["name"], "datatype": datatype, "shape": shape, "data": [_ZERO.get(datatype, 0)] * count}
