"""One inference over HTTP."""

from __future__ import annotations

from collections.abc import Mapping

from plimsoll.runtime.server.fronts.open_inference_http.codec import Codec
from plimsoll.runtime.server.fronts.open_inference_http.general_codec import HttpRequest
from plimsoll.runtime.server.identities.callers import present
from plimsoll.runtime.server.inference import InferenceCall
from plimsoll.runtime.server.reading import Reading
from plimsoll.runtime.server.responses import BINARY, Buffer, Response
from plimsoll.runtime.server.served import Served
from plimsoll.runtime.tensors import Array


class HttpCall(InferenceCall[Response]):
    """A body that is JSON, or JSON followed by binary tensors; `json_length` is then the header that says how long."""

    __slots__ = ("_body", "_codec", "_json_length", "_read")

    _codec: Codec
    _read: HttpRequest

    def __init__(
        self,
        model: str,
        version: str | None,
        headers: Mapping[str, str],
        client: str,
        body: Buffer,
        json_length: str | None,
    ) -> None:
        # As the base classes do, without calling them: this runs for every request, and the calls are measurable.
        self.model = model
        self.version = version
        self.headers = headers
        self.client = client
        self.caller = present.get().name
        self.request = None
        self.results = None
        self.batch = 1
        self._body = body
        self._json_length = json_length

    def read(self, served: Served) -> HttpRequest:
        """The arrays of the body, which can be read once. Raises BadTensor."""
        codec = self._codec = served.fronts.get(Codec) or codec_of(served)
        # The body is not kept: it may be large, and a request that is read may wait in a queue.
        body, self._body = self._body, b""
        request = self._read = codec.read(body, self._json_length)
        return request

    def is_long(self, served: Served) -> bool:
        """Whether reading the body takes so long that it is done in a thread."""
        codec = self._codec = served.fronts.get(Codec) or codec_of(served)
        return codec.is_long(self._body, self._json_length)

    def read_long(self, served: Served, reading: Reading) -> HttpRequest:
        """The arrays of a long body; called in a thread. Raises BadTensor, Busy, TooLarge, TimeoutError."""
        body, self._body = self._body, b""
        request = self._read = self._codec.read_long(body, self._json_length, reading)
        return request

    def write(self, results: dict[str, Array]) -> Response:
        """The response, in the form that the request asks for."""
        body, json_length = self._codec.write(self._read, results)
        if json_length is None:
            return Response(200, body)
        return Response(200, body, BINARY, b"inference-header-content-length: %d\r\n" % json_length)


def codec_of(served: Served) -> Codec:
    """The version's codec, which it keeps."""
    codec = served.fronts[Codec] = Codec(served.model, served.version)
    return codec
