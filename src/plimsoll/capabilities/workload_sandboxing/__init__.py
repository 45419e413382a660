"""A sandbox has a kernel of its own. Source: KAR-0020.

A pod of a RuntimeClass and two plain twins on the same node say which kernel they are on. The twins have to agree, and
the sandbox has to differ from them in what the kernel itself answers and not only in files.
"""

from plimsoll.capabilities.workload_sandboxing.judge import judge
from plimsoll.capabilities.workload_sandboxing.probe import observe, obstacle

__all__ = ["judge", "observe", "obstacle"]
