"""An accelerator is open to its holder and to no other pod of the node: shown by attack. Source: KAR-0049.

Two pods hold a device each; a third pod on the same node holds none. Each tries to open its own device and those of the
others: by name, by a device node that it makes with the other's numbers, and by the environment variables that vendors'
runtimes act upon.
"""

from plimsoll.capabilities.device_holders import CLAIM_RIGHTS
from plimsoll.capabilities.probe import ACCELERATORS, Probe
from plimsoll.capabilities.rights import MAKE, Right
from plimsoll.capabilities.secure_accelerator_access.judge import judge
from plimsoll.capabilities.secure_accelerator_access.probe import observe, obstacle
from plimsoll.capabilities.secure_accelerator_access.records import AccessRecord

PROBE = Probe(
    requirement="secure_accelerator_access",
    records=AccessRecord,
    obstacle=obstacle,
    observe=observe,
    judge=judge,
    rights=(*CLAIM_RIGHTS, Right(group="", resources=("configmaps",), verbs=MAKE)),
    alone=ACCELERATORS,
)
