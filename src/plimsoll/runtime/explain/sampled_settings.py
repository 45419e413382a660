"""How a server explains models that are no trees."""

from __future__ import annotations

from msgspec import Struct

from plimsoll.decoding import decodable


@decodable
class SampledSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The background's table, the output that is explained, and the budget of a request."""

    background: str
    evaluations: int
    seconds: float
    output: str = ""
