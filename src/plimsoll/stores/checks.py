"""What vectors must be before a store is asked to take them, or to look for what is near them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plimsoll.stores.naming import shown
from plimsoll.stores.port import StoreError

if TYPE_CHECKING:
    from plimsoll.indexes.arrays import Array
    from plimsoll.indexes.layout import StorePlace


def require_dimension(given: int, dimension: int, place: StorePlace) -> None:
    """Raise StoreError for vectors of another dimension than those of a place."""
    if given != dimension:
        text = f"a vector has {given} numbers, and those of this place have {dimension}"
        raise StoreError(text, where=shown(place), hint="use the model that embedded the index")


def require_numbers(vectors: Array, place: StorePlace) -> None:
    """Raise StoreError for vectors with infinity or what is no number: some stores take them and find them nowhere."""
    import numpy as np

    if not np.isfinite(vectors).all():
        hint = "see what the model gives for the documents"
        raise StoreError("a vector has something in it that is no number", where=shown(place), hint=hint)
