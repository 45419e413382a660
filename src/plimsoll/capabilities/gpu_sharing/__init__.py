"""Several pods hold one accelerator by a mode that is declared, and no more of them than it allows. Source: KAR-0003.

Pods are added until one has to wait: at least two of those that run hold the same device, and the one that waits starts
when one of them ends.
"""

from plimsoll.capabilities.gpu_sharing.judge import judge
from plimsoll.capabilities.gpu_sharing.probe import observe, obstacle

__all__ = ["judge", "observe", "obstacle"]
