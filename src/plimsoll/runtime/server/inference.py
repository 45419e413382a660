"""One inference on its way through the data plane, and the part of it that a front implements."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Generic, TypeVar

from plimsoll.runtime.server.identities.callers import present
from plimsoll.runtime.server.observers import Generated
from plimsoll.runtime.server.reading import Reading
from plimsoll.runtime.server.request import InferenceRequest
from plimsoll.runtime.server.served import Served
from plimsoll.runtime.tensors import Array

Response = TypeVar("Response")


class Inference:
    """What is recorded of one inference.

    `began` is a time of `time.perf_counter`. `request` is `None` until the request has been read. `batch` is the number
    of requests that were computed together. `results` are those that were computed at once and are so many that the
    response is written in a thread. `shadow` marks a copy of a request, whose answer is dropped.
    """

    __slots__ = ("batch", "began", "caller", "client", "headers", "request", "results", "served")

    shadow: ClassVar[bool] = False
    served: Served
    began: float
    request: InferenceRequest | None
    results: dict[str, Array] | None

    def __init__(self, headers: Mapping[str, str], client: str) -> None:
        self.headers = headers
        self.client = client
        self.caller = present.get().name
        self.request = None
        self.results = None
        self.batch = 1

    def generated(self) -> Generated | None:
        """What it has besides, if it is an answer of a language model."""
        return None


class InferenceCall(Inference, Generic[Response]):
    """A request in a front's own format: the data plane calls `read` and `write` when their time has come.

    A front subclasses it and gives it to `DataPlane.infer`. One object carries a request from the socket to the
    metrics, so that the usual request allocates no more than this.
    """

    __slots__ = ("model", "version")

    spent: float = 0.0
    """Seconds of the request's time limit that have passed before the data plane saw it."""

    def __init__(self, model: str, version: str | None, headers: Mapping[str, str], client: str) -> None:
        """`version` is `None` when the server chooses it. `headers` have names in small letters."""
        super().__init__(headers, client)
        self.model = model
        self.version = version

    @abstractmethod
    def read(self, served: Served) -> InferenceRequest:
        """The request for the version that was chosen. Raises BadTensor."""

    def is_long(self, served: Served) -> bool:
        """Whether reading the request takes more than a millisecond; asked only by `DataPlane.infer_long`."""
        return False

    def read_long(self, served: Served, reading: Reading) -> InferenceRequest:
        """As `read`, in a thread, for a long request. It asks `reading` for memory before it takes it, and often
        whether the request is still wanted. Raises BadTensor, Busy, TooLarge, TimeoutError.
        """
        return self.read(served)

    @abstractmethod
    def write(self, results: dict[str, Array]) -> Response:
        """The front's response for outputs by name; `request` is what `read` returned."""
