"""Parts of an accelerator are devices of their own, allocated like whole ones. Source: KAR-0004.

Two pods hold two parts of one device and see different ones; a claim of the whole device waits until both parts are
free. It does not apply to a cluster that declares no such parts.
"""

from plimsoll.capabilities.device_holders import CLAIM_RIGHTS
from plimsoll.capabilities.probe import ACCELERATORS, Probe
from plimsoll.capabilities.virtualized_accelerator.judge import judge
from plimsoll.capabilities.virtualized_accelerator.probe import observe, obstacle
from plimsoll.capabilities.virtualized_accelerator.records import PartRecord

PROBE = Probe(
    requirement="virtualized_accelerator",
    records=PartRecord,
    obstacle=obstacle,
    observe=observe,
    judge=judge,
    rights=CLAIM_RIGHTS,
    alone=ACCELERATORS,
)
