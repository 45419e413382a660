"""The Gateway API carries inference traffic: shown by traffic from inside the cluster.

Two backends with random names answer; a random weight is split and measured, changed and measured again; a header leads
to one backend always; a route to nowhere reaches none. The programme has neither a requirement document nor a test.
"""

from plimsoll.capabilities.ai_inference.judge import judge
from plimsoll.capabilities.ai_inference.probe import observe, obstacle

__all__ = ["judge", "observe", "obstacle"]
