"""A gang starts whole or not at all: shown with capacity that is held, and given back.

On one node, beside a filler, one of a gang's two pods would fit. For a window no pod of the gang may be bound; when the
filler is deleted, both start. Meanwhile the same two pods without a gang are the control: one is bound. Source:
KAR-0053.
"""

from plimsoll.capabilities.gang_scheduling.judge import judge
from plimsoll.capabilities.gang_scheduling.probe import observe, obstacle
from plimsoll.capabilities.gang_scheduling.records import GangRecord
from plimsoll.capabilities.gang_scheduling.schedulers import CLUSTER_KINDS, RIGHTS
from plimsoll.capabilities.probe import Probe

PROBE = Probe(
    requirement="gang_scheduling",
    records=GangRecord,
    obstacle=obstacle,
    observe=observe,
    judge=judge,
    rights=RIGHTS,
    cluster_kinds=CLUSTER_KINDS,
)
