"""Every accelerator's use and memory are measured, and the measurements follow the device. Source: KAR-0059.

One device is put under load: its utilization has to rise, and that of no other. A page that never changes, or that
changes for all, does not pass.
"""

from plimsoll.capabilities.accelerator_metrics.judge import judge
from plimsoll.capabilities.accelerator_metrics.probe import observe, obstacle

__all__ = ["judge", "observe", "obstacle"]
