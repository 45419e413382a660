"""The formats of bills of materials by their names, and the types of their statements."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from plimsoll.supply import cyclonedx, spdx
from plimsoll.supply.inventory import Inventory

FORMATS: Mapping[str, tuple[str, Callable[[Inventory], dict[str, object]]]] = MappingProxyType(
    {"cyclonedx": (cyclonedx.PREDICATE, cyclonedx.cyclonedx), "spdx": (spdx.PREDICATE, spdx.spdx)}
)
"""By the name of the format: the predicate type of its statement, and what makes it."""
