"""The front: paths to calls of the data plane, and refusals to statuses."""

from __future__ import annotations

from functools import partial

from plimsoll.runtime.server.data_plane import DataPlane, ModelMetadata
from plimsoll.runtime.server.fronts import open_inference
from plimsoll.runtime.server.fronts.front import constant, wrong_method
from plimsoll.runtime.server.fronts.open_inference_http.call import HttpCall, codec_of
from plimsoll.runtime.server.fronts.open_inference_http.long_body import LONG
from plimsoll.runtime.server.fronts.open_inference_http.resources import NoResource, Resource, resource_at
from plimsoll.runtime.server.heads import Endpoint, Head
from plimsoll.runtime.server.identities.callers import Role
from plimsoll.runtime.server.refusals import (
    BadInput,
    Busy,
    Conflict,
    DeadlinePassed,
    Defect,
    Failed,
    Forbidden,
    NotFound,
    NotReady,
    Refusal,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unservable,
)
from plimsoll.runtime.server.responses import Buffer, Reply, Response, error, json_response
from plimsoll.runtime.server.served import Served

STATUSES: dict[type[Refusal], int] = {
    BadInput: 400,
    Conflict: 409,
    Forbidden: 403,
    NotFound: 404,
    NotReady: 503,
    TooLarge: 413,
    TooMany: 429,
    Unauthenticated: 401,
    Busy: 503,
    DeadlinePassed: 504,
    Unservable: 400,
    Failed: 500,
    Defect: 500,
}


class OpenInferenceHttp:
    """Answers the protocol's paths: a `HttpFront`."""

    root = "/v2/models"

    def __init__(self, plane: DataPlane) -> None:
        self._plane = plane

    def endpoint(self, head: Head) -> Endpoint | None:
        """The endpoint for a method and path; `None` when the path is not one of the protocol's."""
        try:
            resource = resource_at(head.path)
        except NoResource as missing:
            return constant(error(404, str(missing)), self)
        if resource is None:
            return None
        if head.method != resource.method and (head.method, resource.method) != ("HEAD", "GET"):
            return constant(wrong_method(head, resource.method), self)
        if resource.kind == "infer":
            return self._inferring(resource)
        changes, probes = {"load", "unload"}, {"live", "ready", "model-ready"}
        return Endpoint(
            partial(self._answer, resource),
            self,
            private=resource.kind in {"index", *changes},
            role=_role(resource),
            recorded=resource.kind in changes,
            probe=resource.kind in probes,
        )

    def refused(self, refusal: Refusal) -> Response:
        """The protocol's shape of an error, with the status of the refusal."""
        after = refusal.retry_after
        return error(STATUSES[type(refusal)], str(refusal), b"" if after is None else b"retry-after: %d\r\n" % after)

    def prepare(self, served: Served) -> None:
        """Make the version's codec."""
        codec_of(served)

    # Inference.

    def inference(self, model: str) -> Endpoint:
        """The endpoint of a model's inference, for a front whose paths do not name one."""
        return self._inferring(Resource("infer", model))

    def _inferring(self, resource: Resource) -> Endpoint:
        return Endpoint(partial(self._infer, resource), self, resource.model)

    def _infer(self, resource: Resource, head: Head, body: Buffer, client: str) -> Reply:
        call = HttpCall(resource.model, resource.version, head.headers, client, body, head.json_length)
        if len(body) > LONG:
            return self._infer_long(call)
        try:
            response = self._plane.infer_at_once(call)
        except Refusal as refusal:
            return self.refused(refusal)
        return self._infer_later(call) if response is None else response

    async def _infer_later(self, call: HttpCall) -> Response:
        try:
            return await self._plane.infer_later(call)
        except Refusal as refusal:
            return self.refused(refusal)

    async def _infer_long(self, call: HttpCall) -> Response:
        try:
            return await self._plane.infer_long(call)
        except Refusal as refusal:
            return self.refused(refusal)

    # All other resources.

    def _answer(self, resource: Resource, head: Head, body: Buffer, client: str) -> Reply:
        if resource.kind in {"load", "unload"}:
            return self._change(resource, head, client)
        try:
            return self._answer_now(resource)
        except Refusal as refusal:
            return self.refused(refusal)

    def _answer_now(self, resource: Resource) -> Response:
        """Raises Refusal."""
        plane = self._plane
        match resource.kind:
            case "live":
                return json_response({"live": True})
            case "ready":
                return json_response({"ready": plane.accepting}, 200 if plane.accepting else 503)
            case "server":
                about = {"name": open_inference.NAME, "version": open_inference.VERSION}
                return json_response({**about, "extensions": open_inference.EXTENSIONS})
            case "index":
                return json_response(plane.index())
            case "model-ready":
                ready = plane.model_ready(resource.model, resource.version)
                return json_response({"name": resource.model, "ready": ready}, 200 if ready else 503)
        return json_response(_metadata(plane.metadata(resource.model, resource.version)))

    async def _change(self, resource: Resource, head: Head, client: str) -> Response:
        change = self._plane.load if resource.kind == "load" else self._plane.unload
        try:
            await change(resource.model, head.headers, client)
        except Refusal as refusal:
            return self.refused(refusal)
        return Response(200, b"")


def _role(resource: Resource) -> Role | None:
    """What a caller needs to be; probes of health are nobody's secret."""
    if resource.kind in {"live", "ready"}:
        return None
    return "admin" if resource.kind in {"load", "unload"} else "infer"


def _metadata(metadata: ModelMetadata) -> dict[str, object]:
    spec = metadata.spec
    parameters = {"features": spec.features, "classes": spec.classes}
    known = {name: value for name, value in parameters.items() if value}
    described: dict[str, object] = {
        "name": spec.name,
        "versions": metadata.versions,
        "platform": open_inference.PLATFORMS[metadata.kind],
        "inputs": spec.inputs,
        "outputs": spec.outputs,
    }
    return {**described, "parameters": known} if known else described
