"""`python -m plimsoll.runtime.explain.shap_process`: explains rows of one model for a server, in a process of its own.

The server's event loop never waits for it, and it can be ended at any moment. With `--check` it says whether the model
can be explained at all, and ends.
"""

from __future__ import annotations

import argparse
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from plimsoll.errors import MissingExtra, PlimsollError
from plimsoll.runtime.explain.shap_messages import Reply, Rows, receive, send
from plimsoll.runtime.model_digests import digests_in

if TYPE_CHECKING:
    from plimsoll.runtime.explain.sampled import Budget, Sampler
    from plimsoll.runtime.model import OnnxModel
    from plimsoll.runtime.tensors import Array

MOST_READ = 100_000
"""Rows of the background's table that are looked at: it is a sample."""
CHUNK = 5_000


def main() -> None:
    """Answer until the server closes the socket; exit 1 with a one-line reason when nothing can be explained."""
    parser = argparse.ArgumentParser(prog="python -m plimsoll.runtime.explain.shap_process", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="an ONNX file")
    parser.add_argument("--background", type=Path, required=True, help="a table of the rows that are compared with")
    parser.add_argument("--output", default="", help="the output that is explained; the only one of floats")
    parser.add_argument("--evaluations", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--digest", action="append", default=[], metavar="FILE=sha256:…")
    parser.add_argument("--socket", type=int, help="the number of the descriptor that leads to the server")
    parser.add_argument("--check", action="store_true", help="explain one row of the background, and end")
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = socket.socket(fileno=arguments.socket) if arguments.socket is not None else None
    try:
        sampler = _sampler(arguments)
    except PlimsollError as error:
        if channel is not None:
            send(channel, Reply(problem=error.on_one_line()))
        sys.stderr.write(f"error: {error.on_one_line()}\n")
        sys.exit(1)
    if channel is None:
        effort = sampler.effort
        print(f"{effort.permutations} permutations against {effort.background} rows of the background")
        return
    send(channel, Reply())
    while (asked := receive(channel, Rows)) is not None:
        send(channel, _answer(sampler, asked))


def _answer(sampler: Sampler, asked: Rows) -> Reply:
    import numpy as np

    from plimsoll.runtime.tensors import BadTensor

    try:
        values, base = sampler.explain(np.frombuffer(asked.content, dtype=np.float64).reshape(asked.shape))
    except BadTensor as error:
        return Reply(problem=str(error))
    except Exception as error:  # noqa: BLE001 - shap's own: the server lives on, and the request is refused
        return Reply(problem=f"shap cannot explain this: {type(error).__name__}: {str(error)[:300]}")
    return Reply(values=values.astype(np.float32).tobytes(), base=base.astype(np.float32).tobytes(), shape=values.shape)


def _sampler(arguments: argparse.Namespace) -> Sampler:
    """What explains, after it has explained one row: the first takes longest. Raises PlimsollError."""
    from plimsoll.runtime.explain.sampled import Budget

    budget = Budget(evaluations=arguments.evaluations, seconds=arguments.seconds)
    return sampler_of(arguments.model, arguments.background, budget, arguments.output, digests_in(arguments.digest))


def sampler_of(
    path: Path, table: Path, budget: Budget, output: str = "", digests: Mapping[str, str] | None = None
) -> Sampler:
    """A sampler of a model against the rows of a table. Raises PlimsollError with the reason why there is none."""
    try:
        from msgspec.structs import replace

        from plimsoll.runtime.explain import matrices
        from plimsoll.runtime.explain.sampled import Sampler
        from plimsoll.runtime.fixed_batch import run_rows
        from plimsoll.runtime.model import OnnxModel
        from plimsoll.runtime.tensors import BadTensor
    except ImportError:
        raise MissingExtra("shap", "explaining models that are no trees") from None
    model = OnnxModel(path, "model", files=digests)
    try:
        output = matrices.explained_output(model.spec, output)
        matrices.require_explainable(model.spec)
        rows, widths = _background(model, table)

        def compute(matrix: Array) -> Array:
            found = run_rows(model.run, model.spec, matrices.as_inputs(model.spec, widths, matrix), len(matrix))
            return found[output].reshape(len(matrix), -1)

        first = Sampler(compute, rows, replace(budget, seconds=60.0))
        first.explain(rows[:1])
        return Sampler(compute, rows, budget)
    except BadTensor as error:
        raise PlimsollError(str(error), where=str(table)) from error


def _background(model: OnnxModel, table: Path) -> tuple[Array, tuple[int, ...]]:
    """Rows of the table as a matrix, evenly spread, and the widths of the model's inputs. Raises PlimsollError."""
    import numpy as np

    from plimsoll.runtime.explain import matrices
    from plimsoll.runtime.explain.sampled import MOST_BACKGROUND
    from plimsoll.runtime.tables.layout import input_layout
    from plimsoll.runtime.tables.table import Table

    read = Table(table)
    layout = input_layout(read, model.spec)
    parts: list[Array] = []
    widths: tuple[int, ...] = ()
    for chunk in read.chunks(CHUNK, layout.names):
        tensors = layout.tensors(chunk)
        widths = matrices.widths_of(model.spec, tensors)
        parts.append(matrices.as_matrix(model.spec, tensors))
        if chunk.first + chunk.rows >= MOST_READ:
            break
    rows = np.concatenate(parts) if parts else np.zeros((0, 0))
    if not len(rows):
        raise PlimsollError("the background of explanations has no rows", where=str(table))
    return rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST_BACKGROUND)).round().astype(int)], widths


if __name__ == "__main__":
    main()
