"""A server of Milvus, and what it says in sentences with what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from plimsoll.indexes.layout import StorePlace
from plimsoll.stores.addresses import read_address
from plimsoll.stores.milvus.library import MilvusClient, MilvusException, grpc
from plimsoll.stores.port import StoreError
from plimsoll.stores.requests import require_key
from plimsoll.stores.variables import value_of

Answer = TypeVar("Answer")
WHAT = "the address of the server, such as https://milvus.example:19530"
KEY = "user:password, or a key of the service"
PORT = 19530
LIMIT = 10.0
"""Seconds of one call with all that the client tries again: it tries until then when nobody answers."""
NO_COLLECTION = 100
"""The code of a collection that is not there (pymilvus' ErrorCode)."""
MOST_BYTES = 64 << 20
"""Bytes of one reply, which is the limit of Milvus itself."""
_CHANNEL = {
    "grpc.max_receive_message_length": MOST_BYTES,
    # A new client does not wait for what another has tried in vain.
    "grpc.use_local_subchannel_pool": 1,
    # A server that is back is asked again soon.
    "grpc.initial_reconnect_backoff_ms": 200,
    "grpc.max_reconnect_backoff_ms": 1000,
}
_REFUSED = frozenset({grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED})
_GONE = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED})


class MilvusServer:
    """A client with its errors. `shown` is what the server is called in a sentence."""

    def __init__(self, place: StorePlace) -> None:
        """Connect to the server whose address is in the variable of a place. Raises StoreError."""
        address = value_of(place.url, WHAT)
        hint = f"set it to {WHAT}; a key has a variable of its own: `key: {{env: NAME}}`"
        found = read_address(address, place.url, "a server", hint)
        self._place = place
        self.shown = f"Milvus at {found.host}:{found.port or PORT}"
        token = require_key(value_of(place.key, KEY), place.key, KEY) if place.key else ""
        # A connection of its own, which closes with it.
        self.client: MilvusClient = self.call(
            lambda: MilvusClient(address.rstrip("/"), token=token, timeout=LIMIT, dedicated=True, grpc_options=_CHANNEL)
        )

    def require(self) -> None:
        """Raise StoreError unless the server answers and takes the key."""
        self.call(lambda: self.client.list_collections(timeout=LIMIT))

    def drop(self, place: StorePlace) -> None:
        """Delete the collection of a place. What is gone is no error."""
        self.call(lambda: self.client.drop_collection(collection_name(place), timeout=LIMIT))

    def close(self) -> None:
        """Close the connection."""
        self.client.close()

    def call(self, work: Callable[[], Answer]) -> Answer:
        """What the client answers. Raises StoreError."""
        try:
            return work()
        except (MilvusException, grpc.RpcError) as error:
            raise self._error(error) from None
        except (ValueError, OSError) as error:
            raise StoreError(
                f"{self.shown} cannot be asked: {str(error)[:200]}", hint=f"correct {self._place.url}"
            ) from None

    def _error(self, error: Exception) -> StoreError:
        """The sentence for what the client raised: of a call that failed it keeps the status of gRPC as the cause."""
        said = error.message if isinstance(error, MilvusException) else ""
        code = _status(error)
        if code in _REFUSED or "auth check failure" in said:
            hint = f"correct {self._place.key or 'the file: `key: {env: NAME}`'}"
            return StoreError(f"{self.shown} refuses the key", hint=hint, lasting=True)
        if code in _GONE or not said or said.startswith("Fail connecting"):
            hint = f"start it, or correct {self._place.url}; what was stored in it is as it was"
            return StoreError(f"{self.shown} does not answer", hint=hint)
        if isinstance(error, MilvusException) and error.code == NO_COLLECTION:
            hint = "build the index anew: plimsoll run --force NAME"
            return StoreError(f"{self.shown} has no such collection any more", hint=hint)
        return StoreError(f"{self.shown} refuses: {said[:200]}", hint="see the log of the server")


def collection_name(place: StorePlace) -> str:
    """The name of a collection, with the mark that makes it ours."""
    return f"{place.name}_{place.mark}"


def _status(error: BaseException | None) -> object:
    """The status of gRPC in an error or in what caused it; None without one."""
    for _ in range(5):
        if isinstance(error, grpc.RpcError):
            return error.code()
        error = error.__cause__ if error is not None else None
    return None
