"""What SageMaker's `serve` does: models pulled and verified, and the server in the place of this process.

The order comes by variables, in pieces: which models lie where, which keys count, and the service file.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import TargetError

PORT = 8080
_PIECE = 1000
"""Characters of a variable: SageMaker takes 1,024."""
_MOST_PIECES = 90
_NAME = "PLIMSOLL_SERVICE_{:02d}"
_PULL_LIMIT = 1800.0
"""Seconds for one model: SageMaker itself waits an hour for a container at most."""


@decodable
class ServingOrder(Struct, frozen=True, kw_only=True):
    """What one container serves: the text of its service file, references of models by their place, keys by name."""

    service: str
    models: Mapping[str, str]
    keys: Mapping[str, str]


def order_variables(order: ServingOrder) -> Iterator[tuple[str, str]]:
    """An order as variables. Raises TargetError for one that is longer than all of them."""
    text = msgspec.json.encode(order, order="deterministic").decode()
    count = -(-len(text) // _PIECE)
    if count > _MOST_PIECES:
        most = _PIECE * _MOST_PIECES
        told = f"what the service's container is told has {len(text)} characters; SageMaker takes {most}"
        raise TargetError(told, hint="trust fewer keys, or have it served by pods", lasting=True)
    for number in range(count):
        yield _NAME.format(number), text[number * _PIECE : (number + 1) * _PIECE]


def read_order(variables: Mapping[str, str]) -> ServingOrder:
    """The order of a container's variables. Raises TargetError for one that cannot be read."""
    names = [_NAME.format(number) for number in range(_MOST_PIECES)]
    text = "".join(variables[name] for name in names if name in variables)
    try:
        return msgspec.json.decode(text, type=ServingOrder)
    except UNREADABLE as error:
        raise TargetError(f"cannot read the order in {names[0]} and those after it: {error}", lasting=True) from error


def serve(place: Path) -> NoReturn:
    """Bring the models, and become the server. Raises TargetError for a model that is not what was signed."""
    order = read_order(os.environ)
    keys, told = place / "keys", place / "service.json"
    keys.mkdir(parents=True, exist_ok=True)
    for name, content in order.keys.items():
        if Path(name).name != name:
            raise TargetError(f"the key {name[:100]!r} is no name of a file", lasting=True)
        (keys / name).write_text(content, encoding="utf-8")
    for where, reference in order.models.items():
        _pull(reference, keys, where)
    told.write_text(order.service, encoding="utf-8")
    argv = [sys.executable, "-m", "plimsoll.runtime.server", "--service", str(told), "--host", "0.0.0.0"]  # noqa: S104
    os.execv(sys.executable, [*argv, "--port", os.environ.get("SAGEMAKER_BIND_TO_PORT", str(PORT))])  # noqa: S606


def _pull(reference: str, keys: Path, where: str) -> None:
    argv = [sys.executable, "-m", "plimsoll.runtime.pull", reference, "--keys", str(keys), "--output", where]
    try:
        ended = subprocess.run(argv, check=False, timeout=_PULL_LIMIT)
    except subprocess.TimeoutExpired:
        raise TargetError(f"the model {reference} did not come within {_PULL_LIMIT:g} s") from None
    if ended.returncode:
        raise TargetError(f"the model {reference} cannot be served: see the lines before", lasting=True)
