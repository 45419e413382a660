"""Every accelerator's use and memory are measured, and the measurements follow the device. Source: KAR-0059.

One device is held idle, put under load, and let go idle again while it is still held: its utilization has to rise and
fall with the load, and that of no other. A page that never changes, changes for all, or says what is held for what is
used, does not pass.
"""

from plimsoll.capabilities.accelerator_metrics.judge import judge
from plimsoll.capabilities.accelerator_metrics.probe import observe, obstacle

__all__ = ["judge", "observe", "obstacle"]
