"""Check that a service answers: real inferences on zeros in the shape of the model's inputs."""

from __future__ import annotations

import time

from plimsoll.errors import TargetError
from plimsoll.runtime import client
from plimsoll.runtime.client import OipMessage


def check_inference(url: str, model: str) -> float:
    """Send two requests. Returns the seconds of the second, warm one.

    Raises RequestError with the server's reason, TargetError when the outputs are not those of the metadata.
    """
    metadata = client.metadata(url, model)
    request = {"inputs": [_zero_tensor(tensor) for tensor in metadata["inputs"]]}
    client.infer(url, model, request)
    began = time.perf_counter()
    answer = client.infer(url, model, request)
    seconds = time.perf_counter() - began
    listed = {tensor["name"] for tensor in metadata["outputs"]}
    returned = {tensor["name"] for tensor in answer["outputs"]}
    if returned != listed:
        raise TargetError(
            f"the server returned the outputs {sorted(returned)}, its metadata lists {sorted(listed)}", where=url
        )
    return seconds


_ZERO: dict[str, object] = {"BOOL": False, "BYTES": ""}


def _zero_tensor(tensor: OipMessage) -> OipMessage:
    """A tensor of zeros in the shape of an input; open dimensions are 1."""
    shape = [max(1, size) for size in tensor["shape"]]
    count = 1
    for size in shape:
        count *= size
    datatype = tensor["datatype"]
    return {"name": tensor["name"], "datatype": datatype, "shape": shape, "data": [_ZERO.get(datatype, 0)] * count}
