"""The inputs and outputs of a model, in the terms of the Open Inference Protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    # It brings Python's HTTP client, which a server does not need.
    from plimsoll.runtime.client import OipMessage


class TensorSpec(Struct, frozen=True, kw_only=True):
    """One tensor: its protocol datatype, and its shape with -1 for open dimensions."""

    name: str
    datatype: str
    shape: tuple[int, ...]


class ModelSpec(Struct, frozen=True, kw_only=True):
    """The tensors of a model. `features` are the columns of its table in order, `classes` the names of its classes."""

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    features: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()


def spec_from_metadata(metadata: OipMessage) -> ModelSpec:
    """Read the spec in a server's metadata. Raises KeyError when a field that the protocol requires is missing."""
    parameters = metadata.get("parameters") or {}
    return ModelSpec(
        name=metadata["name"],
        inputs=tuple(_tensor(tensor) for tensor in metadata["inputs"]),
        outputs=tuple(_tensor(tensor) for tensor in metadata["outputs"]),
        features=tuple(parameters.get("features") or ()),
        classes=tuple(parameters.get("classes") or ()),
    )


def _tensor(tensor: OipMessage) -> TensorSpec:
    return TensorSpec(name=tensor["name"], datatype=tensor["datatype"], shape=tuple(tensor["shape"]))
