"""A sandbox has a kernel of its own. Source: KAR-0020.

A pod of a RuntimeClass and two plain twins on the same node report their kernels. The twins have to agree, and the
sandbox has to differ from them in what the kernel itself answers, not only in files.
"""

from plimsoll.capabilities.probe import Probe
from plimsoll.capabilities.workload_sandboxing.judge import judge
from plimsoll.capabilities.workload_sandboxing.probe import observe, obstacle
from plimsoll.capabilities.workload_sandboxing.records import SandboxRecord

PROBE = Probe(
    requirement="workload_sandboxing",
    records=SandboxRecord,
    obstacle=obstacle,
    observe=observe,
    judge=judge,
)
