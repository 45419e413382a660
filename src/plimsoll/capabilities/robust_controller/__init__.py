"""An AI operator refuses bad objects, carries out good ones and survives the loss of its controller.

The refusal has to come from the operator's own webhook, and the operator has to accept a near twin of the refused
object: a policy that denies everything passes neither. Source: KAR-0063.
"""

from plimsoll.capabilities.probe import Probe
from plimsoll.capabilities.rights import MAKE, Right
from plimsoll.capabilities.robust_controller.judge import judge
from plimsoll.capabilities.robust_controller.probe import observe, obstacle
from plimsoll.capabilities.robust_controller.records import OperatorRecord

PROBE = Probe(
    requirement="robust_controller",
    records=OperatorRecord,
    obstacle=obstacle,
    observe=observe,
    judge=judge,
    rights=(
        Right(group="", resources=("services",), verbs=("get",)),
        Right(group="coordination.k8s.io", resources=("leases",), verbs=("list",)),
        Right(group="jobset.x-k8s.io", resources=("jobsets",), verbs=("get", *MAKE)),
        Right(group="serving.kserve.io", resources=("inferenceservices",), verbs=("get", *MAKE)),
        Right(group="trainer.kubeflow.org", resources=("trainjobs", "trainingruntimes"), verbs=("get", *MAKE)),
    ),
)
