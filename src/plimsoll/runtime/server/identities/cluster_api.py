"""Asks an API server of Kubernetes whose a token is and what somebody may do, with limits on time and size.

A client of its own: the one of targets has discovery, watches and kubeconfigs, of which a server needs nothing.
Sources: the APIs TokenReview and LocalSubjectAccessReview.
"""

from __future__ import annotations

import http.client
import os
import ssl
import urllib.parse
from pathlib import Path
from typing import Any

import msgspec

from plimsoll.decoding import UNREADABLE
from plimsoll.errors import TargetError
from plimsoll.runtime.server.identities.cluster_settings import ClusterSettings

SECONDS = 3.0
"""For one answer."""
LARGEST = 1 << 20
"""Bytes of an answer."""
Review = dict[str, Any]
"""JSON of the API, whose values may be anything."""


class ClusterApi:
    """The API server of the cluster that a pod is in. Can be used from several threads."""

    def __init__(self, settings: ClusterSettings) -> None:
        """Raises TargetError outside of a pod."""
        self._token = Path(settings.place, "token")
        self._authority = Path(settings.place, "ca.crt")
        self._address = urllib.parse.urlsplit(settings.server or _from_environment())

    def create(self, path: str, review: Review) -> Review:
        """Post a review and give it with its answer. Raises TargetError with the reason for none."""
        return self.ask("POST", path, review)

    def ask(self, method: str, path: str, content: Review | None = None, kind: str = "application/json") -> Review:
        """Send a request, with a content of a media type, and give the answer. Raises TargetError for none."""
        connection = self._connection()
        try:
            # The token is renewed in place while the pod runs.
            token = self._token.read_text(encoding="ascii").strip()
            headers = {"authorization": f"Bearer {token}", "content-type": kind}
            connection.request(method, path, None if content is None else msgspec.json.encode(content), headers)
            answer = connection.getresponse()
            found = answer.read(LARGEST + 1)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise TargetError(f"the API server does not answer: {type(error).__name__}", where=path) from error
        finally:
            connection.close()
        if answer.status not in {200, 201}:
            raise TargetError(f"the API server answers with status {answer.status}: {_message(found)}", where=path)
        try:
            return msgspec.json.decode(found, type=Review)
        except UNREADABLE as error:
            raise TargetError("the API server's answer is no JSON", where=path) from error

    def _connection(self) -> http.client.HTTPConnection:
        if self._address.scheme == "http":
            return http.client.HTTPConnection(self._address.netloc, timeout=SECONDS)
        try:
            context = ssl.create_default_context(cafile=str(self._authority))
        except OSError as error:
            raise TargetError(f"the authority of the API server cannot be read: {error.strerror}",
                              where=str(self._authority)) from error  # fmt: skip
        return http.client.HTTPSConnection(self._address.netloc, timeout=SECONDS, context=context)


def _from_environment() -> str:
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        message = "this server is in no pod of Kubernetes, and cannot ask a cluster who its callers are"
        raise TargetError(message, hint="name callers by tokens or jwt")
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def _message(content: bytes) -> str:
    try:
        found = msgspec.json.decode(content)
    except UNREADABLE:
        return "no reason given"
    message = found.get("message") if isinstance(found, dict) else None
    return str(message or "no reason given")[:300]
