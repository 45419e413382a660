"""The task of a pod: the target writes it, `plimsoll.runtime.pod` reads it inside the pod."""

from __future__ import annotations

import itertools
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from plimsoll.decoding import decodable
from plimsoll.runtime.index_order import IndexOrder

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
KEY_FILE = "/plimsoll/encryption/key"
"""The key under which results are encrypted, from a Secret."""
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
class NumberedHosts(Struct, frozen=True, kw_only=True):
    """Host names that differ in their rank alone: `before`, the rank, `after`.

    All names of 4,096 workers are a quarter of a megabyte, and Linux takes half of that in one variable.
    """

    before: str
    after: str
    count: int

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names by rank."""
        return tuple(f"{self.before}{rank}{self.after}" for rank in range(self.count))


def numbered(hosts: tuple[str, ...]) -> NumberedHosts | None:
    """Names as numbered ones; None for names that are not."""
    if len(hosts) < 2:
        return None
    # Those of ranks 0 and 1 differ in one character.
    before = "".join(a for a, _ in itertools.takewhile(lambda both: both[0] == both[1], zip(*hosts[:2], strict=False)))
    found = NumberedHosts(before=before, after=hosts[0][len(before) + 1 :], count=len(hosts))
    return found if found.hosts == hosts else None


class IndexTask(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the action `index` builds. `embedder` is the version of the model, for the result.

    Paths of `order` begin at the pod's work directory; `documents` and `output` are filled in by the pod.
    """

    order: IndexOrder
    embedder: str | None = None


@decodable
class PodTask(Struct, frozen=True, kw_only=True):
    """One step for the pods of one workload.

    Rank 0 pushes its output to the reference `result` and, from time to time, checkpoints to
    `checkpoint`, and with them the points of `metrics.jsonl` of all attempts to `curve`; both are `None` for steps that
    do not train. `hosts` has a host name for each rank; it resolves once
    the pod exists. `numbered` is how they are written. `variables` are the values of parameters, for the command.
    `model` is the reference of a signed model, for `score` and `reference`; `model_files` are the digests of its files,
    which `score` checks. `source` is the URL for `fetch`, with its digest when known. `arguments` are extra words for
    the commands of our own. `index` is set for `index` alone. `sealed` names the Secret and the entry with the key
    under which inputs, results, checkpoints and curves are encrypted; empty for in clear.
    """

    action: Literal["run", "train", "score", "fetch", "reference", "index"]
    step: str
    key: str
    command: str = ""
    inputs: tuple[PodInput, ...] = ()
    variables: dict[str, str] = {}
    outputs: tuple[str, ...] = ()
    framework: str = "none"
    hosts: tuple[str, ...] = ("localhost",)
    numbered: NumberedHosts | None = None
    cores: float = 1.0
    result: str
    checkpoint: str | None = None
    curve: str | None = None
    model: str | None = None
    model_files: dict[str, str] = {}
    source: str = ""
    sha256: str | None = None
    arguments: tuple[str, ...] = ()
    index: IndexTask | None = None
    sealed: str = ""

    def encoded(self) -> str:
        """The task as the value of an environment variable: names of hosts that can be counted are not spelled out."""
        short = numbered(self.hosts)
        written = self if short is None else replace(self, hosts=(), numbered=short)
        return msgspec.json.encode(written).decode()


def decode_task(text: str) -> PodTask:
    """Decode the value of the environment variable. Raises msgspec.DecodeError."""
    found = msgspec.json.decode(text, type=PodTask)
    return found if found.numbered is None else replace(found, hosts=found.numbered.hosts, numbered=None)


@decodable
class TerminationReport(Struct, frozen=True, kw_only=True):
    """The termination message of a pod, at most 4096 bytes (the kubelet's limit)."""

    reason: str = ""
    lasting: bool = False
