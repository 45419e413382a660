"""A request for two rows of the model `m` of the fixture `linear`, and changes of it."""

from __future__ import annotations

from typing import Any

INFER = "/v2/models/m/infer"
GOOD: dict[str, Any] = {
    "id": "7",
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [2, 2], "data": [3, 1, 1, 1]}],
}


def changed(**values: Any) -> dict[str, Any]:
    return {**GOOD, "inputs": [{**GOOD["inputs"][0], **values}]}
