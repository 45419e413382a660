"""Send a file to a service for predictions: an OIP request in JSON, or rows of a CSV or Parquet table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from plimsoll.errors import PlimsollError
from plimsoll.runtime import client
from plimsoll.runtime.client import OipMessage
from plimsoll.runtime.predictions import prediction_columns
from plimsoll.runtime.specs import ModelSpec, spec_from_metadata
from plimsoll.runtime.tables import Table, model_inputs, python_values
from plimsoll.runtime.tensors import dtype_of, to_json

ROWS_PER_REQUEST = 1000
"""Rows of one request: enough to be fast, few enough for the limit of any server."""


def send_request_file(url: str, model: str, path: Path) -> OipMessage:
    """Send the OIP request in a JSON file and return the response. Raises PlimsollError."""
    try:
        request = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise PlimsollError(f"cannot read the request: {error.strerror}", where=str(path)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PlimsollError(f"the request is not JSON: {error}", where=str(path)) from error
    if not isinstance(request, dict):
        raise PlimsollError("the request is not a JSON object with `inputs`", where=str(path))
    return client.infer(url, model, request)


def predict_rows(url: str, model: str, path: Path) -> Iterator[dict[str, object]]:
    """Yield one mapping for each row of a table: its number, its `id` if the table has ids, and the model's outputs."""
    spec = spec_from_metadata(client.metadata(url, model))
    for chunk in Table(path).chunks(ROWS_PER_REQUEST):
        inputs = model_inputs(chunk, spec, path)
        request = {
            "inputs": [
                {
                    "name": tensor.name,
                    "datatype": tensor.datatype,
                    "shape": inputs[tensor.name].shape,
                    "data": to_json(inputs[tensor.name]),
                }
                for tensor in spec.inputs
            ]
        }
        columns = _columns(client.infer(url, model, request), spec, chunk.rows)
        ids = python_values(chunk.columns["id"]) if "id" in chunk.columns else None
        for number in range(chunk.rows):
            row: dict[str, object] = {"row": chunk.first + number}
            if ids is not None:
                row["id"] = ids[number]
            yield row | {name: values[number] for name, values in columns.items()}


def _columns(answer: OipMessage, spec: ModelSpec, rows: int) -> dict[str, list[object]]:
    arrays = {}
    for tensor in answer["outputs"]:
        data = [np.nan if value is None else value for value in tensor["data"]]
        arrays[tensor["name"]] = np.array(data, dtype=dtype_of(tensor["datatype"])).reshape(tensor["shape"])
    return {name: to_json(array) for name, array in prediction_columns(arrays, spec, rows).items()}
