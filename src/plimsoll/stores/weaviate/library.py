"""gRPC and Protocol Buffers, which are an extra, and the messages of Weaviate.

The messages are made when this is imported, from the descriptor that `scripts/protocol` compiles: generated Python
would be bound to a range of protobuf's versions. They are in a pool of their own, beside those of other packages.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from plimsoll.errors import MissingExtra

try:
    import grpc
    from google.protobuf import struct_pb2
    from google.protobuf.descriptor_pb2 import FileDescriptorSet
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message_factory import GetMessageClass
except ImportError:
    raise MissingExtra("weaviate", "an index with `store: weaviate`") from None

__all__ = ["CALLS", "DESCRIPTOR", "grpc", "message"]

PACKAGE = "weaviate.v1"
DESCRIPTOR = Path(__file__).with_name("weaviate.binpb")

_pool = DescriptorPool()
_pool.AddSerializedFile(struct_pb2.DESCRIPTOR.serialized_pb)
for _file in FileDescriptorSet.FromString(DESCRIPTOR.read_bytes()).file:
    _pool.AddSerializedFile(_file.SerializeToString())


def message(name: str) -> Any:  # Any: the class is made when it is asked for
    """The class of a message, such as `SearchRequest`."""
    return GetMessageClass(_pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))


CALLS = {
    f"/{PACKAGE}.Weaviate/{each.name}": (GetMessageClass(each.input_type), GetMessageClass(each.output_type))
    for each in _pool.FindServiceByName(f"{PACKAGE}.Weaviate").methods
} | {
    # gRPC's own health protocol, whose messages are the same on the wire.
    "/grpc.health.v1.Health/Check": (message("WeaviateHealthCheckRequest"), message("WeaviateHealthCheckResponse"))
}
"""The calls by their paths, each with the classes of its request and its reply."""
