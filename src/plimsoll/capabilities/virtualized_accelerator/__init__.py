"""Parts of an accelerator are devices of their own, given out like whole ones. Source: KAR-0004.

Two pods hold two parts of one device and see different ones; the whole device, claimed meanwhile, waits until they are
given back. Only where a cluster declares such parts: else it does not apply.
"""

from plimsoll.capabilities.virtualized_accelerator.judge import judge
from plimsoll.capabilities.virtualized_accelerator.probe import observe, obstacle

__all__ = ["judge", "observe", "obstacle"]
