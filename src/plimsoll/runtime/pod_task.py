"""What a pod is sent to do: written by the target that plans it, read by `plimsoll.runtime.pod` inside the pod."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from plimsoll.decoding import decodable

VARIABLE = "PLIMSOLL_ERRAND"
RANK = "JOB_COMPLETION_INDEX"
"""What Kubernetes tells every pod of an Indexed Job (KEP-2214)."""
DEPENDENCIES = "/opt/plimsoll/dependencies"
"""Where the image of a step has what its requirements name."""
RUNTIME = "/opt/plimsoll/runtime"
"""Where it has our own side."""
INPUTS = "/plimsoll/inputs"
WORK = "/plimsoll/work"
AUTHORITIES = "/plimsoll/authorities"
TERMINATION = "/dev/termination-log"
ENDING = 20
"""Seconds for a command that was asked to end."""
KEEPING = 10
"""Seconds after that for its last checkpoint to be kept: a pod has both to end."""
WORKER_PORT = 29500
TRACKER_PORT = 29400
REFERENCE = "reference.json"
"""The file that an errand `reference` leaves: what a model's features look like in training."""


class Given(Struct, frozen=True, kw_only=True):
    """One input: seen by the command as PLIMSOLL_INPUT_<NAME>.

    `reference` is where it lies in the registry. `mounted` is the path at which the kubelet has put it; `None` has the
    pod pull it. `file` narrows it to one file.
    """

    name: str
    reference: str
    file: str | None = None
    mounted: str | None = None


@decodable
class Errand(Struct, frozen=True, kw_only=True):
    """One step for the pods of one workload.

    `result` and `checkpoint` are references in the registry where rank 0 leaves its output and, from time to time, its
    checkpoints; `checkpoint` is `None` for what does not train. `hosts` has a name for each rank, resolvable once its
    pod is there. `model` is the reference of a signed model for `score` and `reference`, `source` the address that
    `fetch` brings, with its digest when that is known. `arguments` are more words for what we run of our own.
    """

    do: Literal["run", "train", "score", "fetch", "reference"]
    step: str
    key: str
    command: str = ""
    inputs: tuple[Given, ...] = ()
    outputs: tuple[str, ...] = ()
    framework: str = "none"
    hosts: tuple[str, ...] = ("localhost",)
    cores: float = 1.0
    result: str
    checkpoint: str | None = None
    model: str | None = None
    source: str = ""
    sha256: str | None = None
    arguments: tuple[str, ...] = ()

    def encoded(self) -> str:
        """The errand as the value of a variable."""
        return msgspec.json.encode(self).decode()


def decoded(text: str) -> Errand:
    """The errand of a variable's value. Raises msgspec.DecodeError."""
    return msgspec.json.decode(text, type=Errand)


@decodable
class Report(Struct, frozen=True, kw_only=True):
    """What a pod leaves as its termination message, at most 4096 bytes (the kubelet's limit)."""

    reason: str = ""
    lasting: bool = False
