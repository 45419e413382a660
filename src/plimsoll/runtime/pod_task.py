"""The task of a pod: the target writes it, `plimsoll.runtime.pod` reads it inside the pod."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from plimsoll.decoding import decodable

TASK_VARIABLE = "PLIMSOLL_POD_TASK"
RANK_VARIABLE = "JOB_COMPLETION_INDEX"
"""The variable that Kubernetes sets in every pod of an Indexed Job (KEP-2214)."""
DEPENDENCIES = "/opt/plimsoll/dependencies"
"""The requirements of the step, in its image."""
RUNTIME = "/opt/plimsoll/runtime"
"""Our runtime, in the image of a step."""
INPUTS = "/plimsoll/inputs"
WORK = "/plimsoll/work"
CA_DIRECTORY = "/plimsoll/authorities"
TERMINATION_LOG = "/dev/termination-log"
STOP_SECONDS = 20
"""Seconds that a command has to end after SIGTERM."""
UPLOAD_SECONDS = 10
"""Seconds after that to upload the last checkpoint. The grace period of a pod is the sum of both."""
WORKER_PORT = 29500
TRACKER_PORT = 29400
REFERENCE_FILE = "reference.json"
"""The output file of the action `reference`: the distribution of a model's features in training."""


class PodInput(Struct, frozen=True, kw_only=True):
    """One input; PLIMSOLL_INPUT_<NAME> has its path for the command.

    `reference` is its place in the registry. `mounted` is the path at which the kubelet mounts it; with `None` the pod
    pulls it. `file` selects one file of it.
    """

    name: str
    reference: str
    file: str | None = None
    mounted: str | None = None


@decodable
class PodTask(Struct, frozen=True, kw_only=True):
    """One step for the pods of one workload.

    Rank 0 pushes its output to the reference `result` and, from time to time, checkpoints to
    `checkpoint`, which is `None` for steps that do not train. `hosts` has a host name for each rank; it resolves once
    the pod exists. `variables` are the values of parameters, for the command. `model` is the reference of a signed
    model, for `score` and `reference`; `model_files` are the digests of its files, which `score` checks. `source` is
    the URL for `fetch`, with its digest when known. `arguments` are extra words for the commands of our own.
    """

    action: Literal["run", "train", "score", "fetch", "reference"]
    step: str
    key: str
    command: str = ""
    inputs: tuple[PodInput, ...] = ()
    variables: dict[str, str] = {}
    outputs: tuple[str, ...] = ()
    framework: str = "none"
    hosts: tuple[str, ...] = ("localhost",)
    cores: float = 1.0
    result: str
    checkpoint: str | None = None
    model: str | None = None
    model_files: dict[str, str] = {}
    source: str = ""
    sha256: str | None = None
    arguments: tuple[str, ...] = ()

    def encoded(self) -> str:
        """The task as the value of an environment variable."""
        return msgspec.json.encode(self).decode()


def decode_task(text: str) -> PodTask:
    """Decode the value of the environment variable. Raises msgspec.DecodeError."""
    return msgspec.json.decode(text, type=PodTask)


@decodable
class TerminationReport(Struct, frozen=True, kw_only=True):
    """The termination message of a pod, at most 4096 bytes (the kubelet's limit)."""

    reason: str = ""
    lasting: bool = False
