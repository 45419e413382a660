"""`python -m plimsoll.runtime.sagemaker train|serve`: a pod's task, or a server, in a container of Amazon SageMaker.

SageMaker gives no command and no variable that is long enough: the task comes as hyperparameters, in pieces, and the
rank from the names of the hosts. A reason that it fails for is left where SageMaker reads it.
Source: "How Amazon SageMaker Runs Your Training Image".
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn, TypeVar

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import PlimsollError, TargetError
from plimsoll.runtime.pod_task import RANK_VARIABLE, TASK_VARIABLE
from plimsoll.runtime.sagemaker_serving import serve

PLACE = "/opt/ml"
ENTRY = ("python", "-m", "plimsoll.runtime.sagemaker")
"""What an image starts with that SageMaker runs: it says only `train` or `serve`."""
_PIECE = 256
"""Characters of a hyperparameter."""
MOST_PIECES = 100
_NAME = "task-{:02d}"
_HOST = re.compile(r"^algo-([1-9][0-9]{0,5})$")
_MOST_BYTES = 1 << 20
T = TypeVar("T")
_MOST_REASON = 1024
"""Characters of a reason that SageMaker keeps."""


@decodable
class _Hosts(Struct, frozen=True):
    current_host: str
    hosts: list[str]


def pieces(task: str) -> Iterator[tuple[str, str]]:
    """A task as hyperparameters. Raises TargetError for one that is longer than all of them."""
    count = -(-len(task) // _PIECE)
    if count > MOST_PIECES:
        text = f"the training's task has {len(task)} characters; SageMaker takes {MOST_PIECES * _PIECE}"
        raise TargetError(text, hint="give the training fewer inputs or parameters", lasting=True)
    for number in range(count):
        yield _NAME.format(number), task[number * _PIECE : (number + 1) * _PIECE]


def joined(values: Mapping[str, str]) -> str:
    """The task of the pieces. Raises TargetError for one that lacks a piece."""
    found = [values.get(_NAME.format(number)) for number in range(MOST_PIECES)]
    count = next((number for number, each in enumerate(found) if each is None), MOST_PIECES)
    if not count or any(each is not None for each in found[count:]):
        raise TargetError(f"the hyperparameters lack the piece {_NAME.format(count)} of the task", lasting=True)
    return "".join(each for each in found[:count] if each is not None)


def rank_of(host: str, hosts: list[str]) -> int:
    """The rank of a host: they are called algo-1, algo-2 and so on. Raises TargetError for another name."""
    number = _HOST.match(host)
    if number is None or host not in hosts or int(number[1]) > len(hosts):
        raise TargetError(f"the host {host[:100]!r} is none of algo-1 to algo-{len(hosts)}", lasting=True)
    return int(number[1]) - 1


def main() -> NoReturn:
    """Run the task with its rank in the place of this process' own; a problem is told to SageMaker."""
    place = Path(os.environ.get("PLIMSOLL_SAGEMAKER", PLACE))
    # The first process of a container is not ended by a signal that it has no handler for.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        if sys.argv[1:] == ["serve"]:
            serve(place / "plimsoll")
        if sys.argv[1:] != ["train"]:
            raise TargetError(f"SageMaker asks for {' '.join(sys.argv[1:])[:100]!r}, and not to train or to serve")
        os.environ[TASK_VARIABLE] = joined(_read(place / "input/config/hyperparameters.json", dict[str, str]))
        hosts = _read(place / "input/config/resourceconfig.json", _Hosts)
        os.environ[RANK_VARIABLE] = str(rank_of(hosts.current_host, hosts.hosts))
        status = _run()
    except PlimsollError as error:
        _tell(place, error.on_one_line())
        sys.stderr.write(f"error: {error.on_one_line()}\n")
        sys.exit(1)
    if status:
        _tell(place, f"the command ended with status {status}")
    sys.exit(status)


def _run() -> int:
    from plimsoll.runtime.pod.__main__ import run_task
    from plimsoll.runtime.pod.process import read_pod_task

    return run_task(read_pod_task(), int(os.environ[RANK_VARIABLE]))


def _read(path: Path, kind: type[T]) -> T:
    try:
        with path.open("rb") as opened:
            return msgspec.json.decode(opened.read(_MOST_BYTES), type=kind)
    except (*UNREADABLE, OSError) as error:
        raise TargetError(f"cannot read what SageMaker gives: {error}", where=str(path), lasting=True) from error


def _tell(place: Path, reason: str) -> None:
    """Leave the reason where SageMaker looks for it; elsewhere it stands in the log alone."""
    try:
        (place / "output").mkdir(parents=True, exist_ok=True)
        (place / "output/failure").write_text(reason[:_MOST_REASON], encoding="utf-8")
    except OSError:
        return


if __name__ == "__main__":
    main()
