"""Devices are claimed by attribute (DRA). Source: KAR-0051; the API is KEP-4381.

A claim that names one device by an attribute gets that device and no other; the same claim again waits while it is held
and gets it afterwards; a claim by an attribute that no device has gets none.
"""

from plimsoll.capabilities.dra_support.judge import judge
from plimsoll.capabilities.dra_support.probe import observe, obstacle

__all__ = ["judge", "observe", "obstacle"]
