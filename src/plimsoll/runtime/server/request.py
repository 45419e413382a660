"""An inference request as arrays: the form that every front reads its own format into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from plimsoll.runtime.tensors import Array


class InferenceRequest(Struct, kw_only=True, gc=False):
    """The tensors of one request.

    `inputs` are by name and fit the model's datatypes and shapes. `outputs` are the names that the client asks for;
    empty means all. `parameters` are the request's own, such as `explain`; observers may add outputs for them.
    """

    inputs: dict[str, Array]
    id: str | None = None
    outputs: Sequence[str] = ()
    parameters: Mapping[str, object] = {}
