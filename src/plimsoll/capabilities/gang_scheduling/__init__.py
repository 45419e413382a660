"""A gang starts whole or not at all: shown with capacity that is held, and given back.

On one node, beside a filler, one of a gang's two pods would fit. For a window none may be bound; when the filler
goes, both start. The same two pods without a gang, meanwhile, are the control: one is bound. Source: KAR-0053.
"""

from plimsoll.capabilities.gang_scheduling.judge import judge
from plimsoll.capabilities.gang_scheduling.probe import observe, obstacle

__all__ = ["judge", "observe", "obstacle"]
