"""Devices are claimed by attribute (DRA). Source: KAR-0051; the API is KEP-4381.

A claim that selects one device by an attribute gets that device and no other; the same claim again waits while the
device is held and gets it afterwards; a claim by an attribute that no device has gets none.
"""

from plimsoll.capabilities.device_holders import CLAIM_RIGHTS
from plimsoll.capabilities.dra_support.judge import judge
from plimsoll.capabilities.dra_support.probe import observe, obstacle
from plimsoll.capabilities.dra_support.records import ClaimRecord
from plimsoll.capabilities.probe import ACCELERATORS, Probe

PROBE = Probe(
    requirement="dra_support",
    records=ClaimRecord,
    obstacle=obstacle,
    observe=observe,
    judge=judge,
    rights=CLAIM_RIGHTS,
    alone=ACCELERATORS,
)
