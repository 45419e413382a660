"""Where a server of Weaviate is: its REST API for collections, its gRPC for what is in them."""

from __future__ import annotations

from typing import NamedTuple

from plimsoll.indexes.layout import StorePlace
from plimsoll.stores.addresses import Address, read_address
from plimsoll.stores.requests import require_key
from plimsoll.stores.variables import value_of

URL = "the address of the server, such as https://weaviate.example:8080"
GRPC = "the address of the server's gRPC, such as https://weaviate.example:50051"
KEY = "a key of the server"
GRPC_PORT = 50051
"""The port that a server takes for gRPC when it is told nothing."""
CLOUD = ".weaviate.cloud"
"""How the hosts of Weaviate Cloud end. Each has its gRPC at a host of its own."""


class Endpoints(NamedTuple):
    """The two addresses of a server, and its key, empty for a server that asks for none."""

    rest: Address
    calls: Address
    key: str


def endpoints_of(place: StorePlace) -> Endpoints:
    """The endpoints of the server of a place. Raises StoreError."""
    key = require_key(value_of(place.key, KEY), place.key, KEY) if place.key else ""
    rest = _address(place.url, URL)
    return Endpoints(rest, _address(place.grpc, GRPC) if place.grpc else _usual(rest), key)


def _address(variable: str, what: str) -> Address:
    hint = f"set it to {what}; a key has a variable of its own: `key: {{env: NAME}}`"
    return read_address(value_of(variable, what), variable, "a server", hint)


def _usual(rest: Address) -> Address:
    """The address of the gRPC of a server of which only the REST API's is known."""
    if rest.host.endswith(CLOUD):
        return Address("https", f"grpc-{rest.host}", 443)
    return Address(rest.scheme, rest.host, GRPC_PORT)
