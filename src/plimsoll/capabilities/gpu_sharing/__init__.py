"""Several pods share one accelerator by a declared mode, and no more pods than it allows. Source: KAR-0003.

The probe adds pods until one has to wait: at least two of the running pods hold the same device, and the waiting one
starts when one of them ends.
"""

from plimsoll.capabilities.device_holders import CLAIM_RIGHTS
from plimsoll.capabilities.gpu_sharing.judge import judge
from plimsoll.capabilities.gpu_sharing.probe import observe, obstacle
from plimsoll.capabilities.gpu_sharing.records import SharingRecord
from plimsoll.capabilities.probe import ACCELERATORS, Probe

PROBE = Probe(
    requirement="gpu_sharing",
    records=SharingRecord,
    obstacle=obstacle,
    observe=observe,
    judge=judge,
    rights=CLAIM_RIGHTS,
    alone=ACCELERATORS,
)
