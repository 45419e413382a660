"""Send a file to a service for predictions: an OIP request in JSON, or rows of a CSV or Parquet table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from plimsoll.errors import RequestError
from plimsoll.runtime import client
from plimsoll.runtime.client import OipMessage, RequestTooLarge
from plimsoll.runtime.fixed_batch import run_rows
from plimsoll.runtime.predictions import OutputLayout, declared_outputs, output_layout, rows_outputs
from plimsoll.runtime.specs import ModelSpec, spec_from_metadata
from plimsoll.runtime.tables.chunk import Chunk, python_values
from plimsoll.runtime.tables.layout import AnyTable, InputLayout, input_layout
from plimsoll.runtime.tables.table import Table
from plimsoll.runtime.tensors import Array, BadTensor, from_json, to_json
from plimsoll.waits import waiting_for

ROWS_PER_REQUEST = 1000
"""Rows of one request: enough to be fast."""
VALUES_PER_REQUEST = 250_000
"""Values of one request, about 5 MB of JSON: few enough for the limit of any server."""
OWN_COLUMNS = ("row", "id")


def send_request(url: str, model: str, request: OipMessage) -> OipMessage:
    """Send a request of the protocol and return the response. Raises PlimsollError."""
    with waiting_for(f"{model} to answer at {url}"):
        return client.infer(url, model, request)


def predict_rows(url: str, model: str, path: Path) -> Iterator[dict[str, object]]:
    """Yield one mapping for each row of a table: its number, its `id` if the table has ids, and the model's outputs."""
    return iter(TablePredictions(url, model, Table(path)))


class TablePredictions:
    """The rows of a table with their predictions, which are asked for as they are read.

    Raises PlimsollError for a table that does not fit the model, RequestError with the service's reason.
    """

    def __init__(self, url: str, model: str, table: AnyTable) -> None:
        """Ask for the model's inputs, and decide on the columns of the table."""
        self._url = url
        self._model = model
        self._table = table
        self._spec = _spec(url, model)
        self._layout: InputLayout = input_layout(self._table, self._spec)
        self._outputs: OutputLayout | None = None

    @property
    def names(self) -> list[str]:
        """The columns of the predictions: those that the model declares, as long as there was no row."""
        own = ["row", "id"] if "id" in self._table.names else ["row"]
        layout = self._outputs
        if layout is None:
            sample = declared_outputs(self._spec)
            layout = output_layout(sample, self._spec, list(sample), OWN_COLUMNS)
        return [*own, *layout.names]

    def __iter__(self) -> Iterator[dict[str, object]]:
        widths = (len(columns) for columns in self._layout.columns.values())
        rows = max(1, min(ROWS_PER_REQUEST, VALUES_PER_REQUEST // max(1, sum(widths))))
        for chunk in self._table.chunks(rows, self._layout.names | {"id"}):
            columns = self._columns(chunk)
            ids = python_values(chunk.columns["id"]) if "id" in chunk.columns else None
            for number in range(chunk.rows):
                row: dict[str, object] = {"row": chunk.first + number}
                if ids is not None:
                    row["id"] = ids[number]
                yield row | {name: values[number] for name, values in columns.items()}

    def _columns(self, chunk: Chunk) -> dict[str, list[object]]:
        inputs = self._layout.tensors(chunk)
        outputs = run_rows(self._ask, self._spec, inputs, chunk.rows)
        if self._outputs is None:
            with_rows = rows_outputs(outputs, self._spec, chunk.rows)
            self._outputs = output_layout(outputs, self._spec, with_rows, OWN_COLUMNS)
        return {name: to_json(array) for name, array in self._outputs.table(outputs, chunk.rows).items()}

    def _ask(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs for some rows. What is too large for the server is sent in halves."""
        described = [
            {
                "name": tensor.name,
                "datatype": tensor.datatype,
                "shape": inputs[tensor.name].shape,
                "data": to_json(inputs[tensor.name]),
            }
            for tensor in self._spec.inputs
        ]
        rows = min((len(array) for array in inputs.values()), default=0)
        try:
            with waiting_for(f"{self._model} to answer at {self._url}"):
                return _arrays(client.infer(self._url, self._model, {"inputs": described}), self._url)
        except RequestTooLarge:
            if rows < 2:
                raise
        middle = rows // 2
        first = self._ask({name: array[:middle] for name, array in inputs.items()})
        second = self._ask({name: array[middle:] for name, array in inputs.items()})
        with_rows = rows_outputs(first, self._spec, middle)
        return {name: np.concatenate([first[name], second[name]]) for name in with_rows}


def _spec(url: str, model: str) -> ModelSpec:
    try:
        with waiting_for(f"{model} to answer at {url}"):
            return spec_from_metadata(client.metadata(url, model))
    except (KeyError, TypeError, AttributeError) as error:
        message = f"the service describes model '{model}' in another form than the protocol"
        raise RequestError(message, where=url) from error


def _arrays(answer: OipMessage, url: str) -> dict[str, Array]:
    """The outputs of a response. Raises RequestError for a response that is not of the protocol."""
    try:
        return {
            tensor["name"]: from_json(tensor["data"], tensor["datatype"], tensor["shape"])
            for tensor in answer["outputs"]
        }
    except (KeyError, TypeError, BadTensor) as error:
        raise RequestError(f"the service answered in another form than the protocol: {error}", where=url) from error
