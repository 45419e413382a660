"""Requests to somebody else's service, with a key that is read when it is needed and is in nothing that is written."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import httpx2

from plimsoll.errors import TargetError
from plimsoll.llms.settings import EndpointSettings
from plimsoll.llms.upstream import ROOT, Headers, UpstreamGone

CONNECT_LIMIT = 10.0
"""Seconds to a connection; the limits of the answer itself are the service's."""
_DROPPED = (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError)
"""A connection that was kept, and closed before a response began. The request is sent once more, on another one."""


class EndpointAnswer:
    """An `Answer`."""

    def __init__(self, response: httpx2.Response) -> None:
        self.status = response.status_code
        after = response.headers.get("retry-after", "")
        self.retry_after = int(after) if after.isdigit() and len(after) < 6 else None
        self._response = response
        self._pieces: AsyncIterator[bytes] = response.aiter_bytes()

    async def next(self) -> bytes:
        """The next bytes; empty at the end. Raises UpstreamGone."""
        try:
            while True:
                piece = await anext(self._pieces, None)
                if piece is None:
                    return b""
                if piece:
                    return piece
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            raise UpstreamGone(f"it ended in the middle of its answer: {type(error).__name__}") from None

    async def close(self) -> None:
        """Close the connection: the endpoint computes no more."""
        await self._response.aclose()


class EndpointUpstream:
    """An `Upstream` at an address."""

    def __init__(self, settings: EndpointSettings) -> None:
        """Raises TargetError when the variable with the key is not set."""
        self._url = settings.url.rstrip("/")
        self._who = f"the endpoint at {self._url}"
        self._variable = settings.key
        self._key()
        self._client: httpx2.AsyncClient | None = None

    async def ask(self, path: str, body: bytes, headers: Headers = ()) -> EndpointAnswer:
        """The answer to a POST. Raises UpstreamGone."""
        if self._client is None:
            # An answer may take long, and for how long is the service's own limit; so is how many there are at once.
            self._client = httpx2.AsyncClient(
                timeout=httpx2.Timeout(None, connect=CONNECT_LIMIT), limits=httpx2.Limits(max_connections=None)
            )
        sent = {**dict(headers), "content-type": "application/json"}
        if key := self._key():
            sent["authorization"] = f"Bearer {key}"
        try:
            try:
                return EndpointAnswer(await self._sent(self._client, path, body, sent))
            except _DROPPED:
                # Such as a server that ends while its successor answers already: nothing has been answered yet.
                return EndpointAnswer(await self._sent(self._client, path, body, sent))
        except httpx2.HTTPError as error:
            # The type says what happened. The text of such an error may have the request in it, and that has the key.
            raise UpstreamGone(f"it cannot be reached: {type(error).__name__}") from None

    async def _sent(
        self, client: httpx2.AsyncClient, path: str, body: bytes, headers: dict[str, str]
    ) -> httpx2.Response:
        """The response, as it begins."""
        request = client.build_request("POST", self._url + path.removeprefix(ROOT), content=body, headers=headers)
        return await client.send(request, stream=True)

    def _key(self) -> str:
        if not self._variable:
            return ""
        key = os.environ.get(self._variable, "").strip()
        if not key or not key.isascii() or any(each.isspace() for each in key):
            problem = "has no key in it" if key else "is not set"
            hint = f"set it for whoever starts the service, for example {self._variable}=… plimsoll run"
            raise TargetError(f"the variable {self._variable} {problem}", where=self._who, hint=hint, lasting=True)
        return key
