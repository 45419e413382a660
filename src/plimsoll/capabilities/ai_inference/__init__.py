"""The Gateway API carries inference traffic: shown by traffic from inside the cluster.

Two backends with random names answer, and count what reaches them; a random weight is split and measured, changed and
measured again; a header leads to one backend always; an answer that comes in pieces passes in pieces; a route to
nowhere reaches none. The programme has neither a requirement document nor a test.
"""

from plimsoll.capabilities.ai_inference.judge import judge
from plimsoll.capabilities.ai_inference.probe import observe, obstacle

__all__ = ["judge", "observe", "obstacle"]
