"""Pods with accelerators are scaled by a metric of their own: one, two, one again. Source: KAR-0057.

The value is drawn in the pod and is in no manifest; the HorizontalPodAutoscaler has to read exactly it. Before that it
has to leave the pod alone, and all the while a twin whose metric stays low: anything else that scales moves them too.
"""

from plimsoll.capabilities.monitoring import MONITOR_RIGHTS
from plimsoll.capabilities.pod_autoscaling.judge import judge
from plimsoll.capabilities.pod_autoscaling.probe import observe, obstacle
from plimsoll.capabilities.pod_autoscaling.records import ScalingRecord
from plimsoll.capabilities.probe import ACCELERATORS, Probe
from plimsoll.capabilities.rights import MAKE, Right

PROBE = Probe(
    requirement="pod_autoscaling",
    records=ScalingRecord,
    obstacle=obstacle,
    observe=observe,
    judge=judge,
    rights=(
        *MONITOR_RIGHTS,
        Right(group="apps", resources=("deployments",), verbs=MAKE),
        Right(group="autoscaling", resources=("horizontalpodautoscalers",), verbs=("get", *MAKE)),
    ),
    alone=ACCELERATORS,
)
