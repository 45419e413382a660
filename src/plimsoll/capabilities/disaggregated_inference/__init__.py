"""Prefill and decode run in separate pods. Source: KAR-0041.

It needs a model server whose parts pass on what they computed. The probe has none, so that it only reports which stacks
the cluster has.
"""

from plimsoll.capabilities.disaggregated_inference.judge import judge
from plimsoll.capabilities.disaggregated_inference.probe import observe, obstacle
from plimsoll.capabilities.probe import Probe
from plimsoll.capabilities.records import CommonRecord

PROBE = Probe(
    requirement="disaggregated_inference",
    records=CommonRecord,
    obstacle=obstacle,
    observe=observe,
    judge=judge,
)
