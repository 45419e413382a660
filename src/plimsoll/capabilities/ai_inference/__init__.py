"""The Gateway API carries inference traffic: shown by traffic from inside the cluster.

Two backends with random names answer, and count the requests that reach them. The probe measures a random weight,
changes it and measures again. A header has to lead to one backend always, an answer in pieces has to pass in pieces,
and a route to nowhere has to reach no backend. The programme has neither a requirement document nor a test.
"""

from plimsoll.capabilities import gateways
from plimsoll.capabilities.ai_inference.judge import judge
from plimsoll.capabilities.ai_inference.probe import observe, obstacle
from plimsoll.capabilities.ai_inference.records import TrafficRecord
from plimsoll.capabilities.probe import Probe

PROBE = Probe(
    requirement="ai_inference",
    records=TrafficRecord,
    obstacle=obstacle,
    observe=observe,
    judge=judge,
    rights=gateways.RIGHTS,
)
