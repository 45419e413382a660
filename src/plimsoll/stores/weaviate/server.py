"""A server of Weaviate: its REST API for collections, its gRPC for objects, and what it says in sentences."""

from __future__ import annotations

import re
from typing import Any

from plimsoll.indexes.layout import StorePlace
from plimsoll.stores.port import StoreError
from plimsoll.stores.requests import LIMIT, Answer, Requests, Words
from plimsoll.stores.weaviate.address import Endpoints, endpoints_of
from plimsoll.stores.weaviate.library import CALLS, grpc

OLDEST = (1, 33)
"""The first version whose filters leave values out."""
MOST_BYTES = 64 << 20
"""Bytes of one reply: ten thousand vectors of 1,536 numbers."""
_HEALTH = "/grpc.health.v1.Health/Check"
_SERVING = 1
_CHANNEL = (
    ("grpc.max_receive_message_length", MOST_BYTES),
    ("grpc.max_send_message_length", MOST_BYTES),
    # A new client does not wait for what another has tried in vain.
    ("grpc.use_local_subchannel_pool", 1),
    # A server that is back is asked again soon.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
_REFUSED = frozenset({grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED})
_GONE = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED})
ANEW = "build the index anew: plimsoll run --force NAME"


class WeaviateServer:
    """One server. Threads share it. `shown` is what it is called in a sentence."""

    def __init__(self, place: StorePlace, endpoints: Endpoints) -> None:
        self._place, self._calls_at = place, endpoints.calls
        self.shown = f"Weaviate at {endpoints.rest.host}:{endpoints.rest.port or ''}".rstrip(":")
        self._key_hint = f"correct {place.key or 'the file: `key: {env: NAME}`'}"
        words = Words(self.shown, place.url, place.key or "the file: `key: {env: NAME}`", "see the log of the server")
        self._metadata = [("authorization", f"Bearer {endpoints.key}")] if endpoints.key else []
        self._requests = Requests(
            endpoints.rest.server, dict(self._metadata), words, lambda answer: answer["error"][0]["message"]
        )
        target = f"{endpoints.calls.host}:{endpoints.calls.port or 443}"
        if endpoints.calls.scheme == "https":
            self._channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(), _CHANNEL)
        else:
            self._channel = grpc.insecure_channel(target, _CHANNEL)
        self._calls = {
            path.rpartition("/")[2]: self._channel.unary_unary(
                path, request_serializer=asked.SerializeToString, response_deserializer=given.FromString
            )
            for path, (asked, given) in CALLS.items()
        }

    def require(self) -> None:
        """Raise StoreError unless the server answers both ways, takes the key, and is new enough."""
        version = str(self._requests.ask("GET", "/v1/meta").get("version"))
        found = re.match(r"(\d{1,4})\.(\d{1,4})", version)
        if found is None:
            hint = f"correct {self._place.url}"
            raise StoreError(f"{self.shown} does not say its version: it is no Weaviate", hint=hint, lasting=True)
        if (int(found[1]), int(found[2])) < OLDEST:
            needed = ".".join(map(str, OLDEST))
            text = f"{self.shown} has version {version[:20]}, and {needed} or newer is needed"
            raise StoreError(text, hint="update the server", lasting=True)
        self.require_collections()
        if self.call("Check", CALLS[_HEALTH][0]()).status != _SERVING:
            raise StoreError(f"{self.shown} does not serve", hint="see the log of the server")

    def require_collections(self) -> None:
        """Raise StoreError unless the key may read collections: what the server says of itself needs none."""
        self._requests.ask("GET", "/v1/schema")

    def collection(self, name: str) -> Answer:
        """The definition of a collection, empty without it."""
        return self._requests.ask("GET", f"/v1/schema/{name}", absent=True)

    def create(self, definition: Answer) -> None:
        """Make a collection. Raises StoreError, also when there is one of its name."""
        self._requests.ask("POST", "/v1/schema", body=definition)

    def drop(self, place: StorePlace) -> None:
        """Delete the collection of a place with all that is in it. What is gone is no error."""
        self._requests.ask("DELETE", f"/v1/schema/{collection_name(place)}", absent=True)

    def call(self, name: str, request: Any) -> Any:  # Any: messages are made from their description
        """The reply to a call of gRPC. Raises StoreError."""
        try:
            return self._calls[name](request, timeout=LIMIT, metadata=self._metadata)
        except grpc.RpcError as error:
            raise self._error(error.code(), str(error.details() or "")) from None
        except ValueError:
            # The channel was closed by who shares it.
            raise StoreError(f"{self.shown} is not asked any more", hint="open the index again") from None

    def close(self) -> None:
        """Close the connections."""
        self._channel.close()
        self._requests.close()

    def _error(self, code: Any, details: str) -> StoreError:  # Any: the library gives no types
        if code in _GONE:
            # What is said of a connection has the address in it, which has no secret.
            where = f"gRPC at {self._calls_at.host}:{self._calls_at.port or 443}"
            hint = "start it, or name its gRPC with `grpc: {env: NAME}`; what was stored in it is as it was"
            return StoreError(f"{self.shown} does not answer: {where}", hint=hint)
        if code in _REFUSED:
            return StoreError(f"{self.shown} refuses the key", hint=self._key_hint, lasting=True)
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            hint = "see what keeps the server busy, and try again"
            return StoreError(f"{self.shown} did not answer within {LIMIT:g} s", hint=hint)
        return StoreError(f"{self.shown} refuses: {details[:200]}", hint="see the log of the server")


def server_of(place: StorePlace) -> WeaviateServer:
    """The server whose address is in the variable of a place. Raises StoreError."""
    return WeaviateServer(place, endpoints_of(place))


def collection_name(place: StorePlace) -> str:
    """The name of a collection, with the mark that makes it ours. Weaviate's begin with a capital letter."""
    return f"{place.name[:1].upper()}{place.name[1:]}_{place.mark}"
