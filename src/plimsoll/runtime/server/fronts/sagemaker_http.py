"""The two paths that Amazon SageMaker asks of a container: `GET /ping` and `POST /invocations`.

A body is that of the Open Inference Protocol, for the first model of the server.
Source: "Use Your Own Inference Code with Hosting Services".
"""

from __future__ import annotations

from plimsoll.runtime.server.data_plane import DataPlane
from plimsoll.runtime.server.fronts.front import constant, wrong_method
from plimsoll.runtime.server.fronts.open_inference_http.front import OpenInferenceHttp
from plimsoll.runtime.server.heads import Endpoint, Head
from plimsoll.runtime.server.refusals import NotReady, Refusal
from plimsoll.runtime.server.responses import Buffer, Response, json_response
from plimsoll.runtime.server.served import Served

PING, INVOCATIONS = "/ping", "/invocations"


class SageMakerHttp:
    """Answers the two paths: an `HttpFront`."""

    root = OpenInferenceHttp.root
    """Its own paths are for SageMaker: people are told of those of the protocol."""

    def __init__(self, plane: DataPlane) -> None:
        self._plane = plane
        self._inference = OpenInferenceHttp(plane)

    def endpoint(self, head: Head) -> Endpoint | None:
        """The endpoint for a method and path; `None` when the path is neither."""
        if head.path == PING:
            if head.method not in {"GET", "HEAD"}:
                return constant(wrong_method(head, "GET"), self)
            return Endpoint(self._ping, self, probe=True)
        if head.path != INVOCATIONS:
            return None
        if head.method != "POST":
            return constant(wrong_method(head, "POST"), self)
        try:
            models = self._plane.index()
        except Refusal as refusal:
            return constant(self.refused(refusal), self)
        if not models:
            return constant(self.refused(NotReady("the server has no model yet")), self)
        return self._inference.inference(models[0].name)

    def refused(self, refusal: Refusal) -> Response:
        """The shape of the Open Inference Protocol."""
        return self._inference.refused(refusal)

    def prepare(self, served: Served) -> None:
        """Nothing is kept for a version but what the protocol's own front keeps."""

    def _ping(self, head: Head, body: Buffer, client: str) -> Response:
        """Ready once all models are."""
        ready = self._plane.accepting
        return json_response({"ready": ready}, 200 if ready else 503)
