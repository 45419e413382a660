"""The messages of the Open Inference Protocol v2 over gRPC.

They are made when they are imported, from the descriptor that `scripts/protocol` compiles from the `.proto` beside it:
generated Python would be bound to a range of protobuf's versions, and would clash in protobuf's pool with that of other
packages that speak the protocol in the same process.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

PACKAGE = "inference"
SERVICE = f"{PACKAGE}.GRPCInferenceService"
DESCRIPTOR = Path(__file__).with_name("open_inference.binpb")


def add_to(pool: DescriptorPool) -> None:
    """Add the protocol's messages and its service to a pool."""
    for file in FileDescriptorSet.FromString(DESCRIPTOR.read_bytes()).file:
        pool.AddSerializedFile(file.SerializeToString())


_pool = DescriptorPool()
add_to(_pool)


def message(name: str) -> Any:
    """The class of a message, such as `ModelInferRequest`."""
    return GetMessageClass(_pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))


def calls() -> dict[str, tuple[Any, Any]]:
    """The service's calls, each with the classes of its request and its response."""
    service = _pool.FindServiceByName(SERVICE)
    return {
        method.name: (GetMessageClass(method.input_type), GetMessageClass(method.output_type))
        for method in service.methods
    }
