"""Requests and answers of admission, as the API server has them (AdmissionReview of admission.k8s.io/v1). Pure."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import FileError
from plimsoll.runtime.admission.images import Json

API_VERSION = "admission.k8s.io/v1"
KIND = "AdmissionReview"
MOST_MESSAGE = 4096
"""Characters of a refusal: it stands in what `kubectl` prints."""


class _Kind(Struct, frozen=True):
    group: str = ""
    version: str = ""
    kind: str = ""


class _User(Struct, frozen=True):
    username: str = ""


class Request(Struct, frozen=True, kw_only=True, rename="camel"):
    """What somebody asks the API server for."""

    uid: str
    kind: _Kind = _Kind()
    name: str = ""
    namespace: str = ""
    operation: str
    user_info: _User = _User()
    object: dict[str, Any] | None = None  # Any: objects of any kind
    old_object: dict[str, Any] | None = None  # Any: objects of any kind

    @property
    def about(self) -> str:
        """The object for people, such as `Deployment shop/triage`."""
        metadata = (self.object or {}).get("metadata")
        named = metadata if isinstance(metadata, dict) else {}
        name = self.name or named.get("name") or f"{named.get('generateName', '')}…"
        return f"{self.kind.kind} {self.namespace}/{name}"[:300]


@decodable
class _Review(Struct, frozen=True, rename="camel"):
    api_version: str
    kind: str
    request: Request


def read_review(content: bytes) -> Request:
    """The request in a review. Raises FileError for anything else."""
    try:
        review = msgspec.json.decode(content, type=_Review)
    except UNREADABLE as error:
        raise FileError(f"this is no {KIND}: {error}"[:500]) from error
    if (review.api_version, review.kind) != (API_VERSION, KIND) or not review.request.uid:
        raise FileError(f"this is no {KIND} of {API_VERSION}")
    return review.request


def answered(request: Request, refused: str, patches: Sequence[dict[str, Json]] = ()) -> bytes:
    """The answer to a request: it is allowed without a reason to refuse it, with these changes."""
    response: dict[str, object] = {"uid": request.uid, "allowed": not refused}
    if refused:
        response["status"] = {"code": 403, "reason": "Forbidden", "message": refused[:MOST_MESSAGE]}
    elif patches:
        response |= {"patchType": "JSONPatch", "patch": base64.b64encode(msgspec.json.encode(patches)).decode()}
    return msgspec.json.encode({"apiVersion": API_VERSION, "kind": KIND, "response": response})
