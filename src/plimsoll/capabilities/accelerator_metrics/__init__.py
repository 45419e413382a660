"""Every accelerator's use and memory are measured, and the measurements follow the device. Source: KAR-0059.

The probe holds one device idle, loads it, and leaves it idle again while it still holds it. Its utilization has to rise
and fall with the load, and no other device's may. A page that never changes, changes for all devices, or reports a held
device as a used one does not pass.
"""

from plimsoll.capabilities.accelerator_metrics.judge import judge
from plimsoll.capabilities.accelerator_metrics.probe import observe, obstacle
from plimsoll.capabilities.accelerator_metrics.records import MetricsRecord
from plimsoll.capabilities.probe import ACCELERATORS, Probe

PROBE = Probe(
    requirement="accelerator_metrics",
    records=MetricsRecord,
    obstacle=obstacle,
    observe=observe,
    judge=judge,
    alone=ACCELERATORS,
)
