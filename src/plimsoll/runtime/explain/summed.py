"""What the explanations of many rows come to."""

from __future__ import annotations

from msgspec import Struct

from plimsoll.decoding import decodable


@decodable
class Summary(Struct, frozen=True, kw_only=True):
    """The mean absolute contribution of each feature, largest first; `more` features were left out."""

    rows: int
    method: str
    features: tuple[tuple[str, float], ...]
    total: float
    more: int = 0
