"""Prefill and decode run in separate pods. Source: KAR-0041.

It takes a model server whose parts hand over what they have computed; none can be brought along, so that this is looked
up and not tried.
"""

from plimsoll.capabilities.disaggregated_inference.judge import judge
from plimsoll.capabilities.disaggregated_inference.probe import observe, obstacle

__all__ = ["judge", "observe", "obstacle"]
