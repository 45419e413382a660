"""Requests are routed by model and load, through an InferencePool and its endpoint picker. Source: KAR-0011.

Two servers report in their metrics which models they hold and how many requests wait; the probe changes what they
report, and the Inference Extension's own picker reads it. Requests have to follow a model, follow it when it moves, and
go to the shorter queue for a model that no server holds. The controls: past the pool the same requests reach both
servers, and without the picker they reach none.
"""

from plimsoll.capabilities import gateways
from plimsoll.capabilities.advanced_inference_ingress.judge import judge
from plimsoll.capabilities.advanced_inference_ingress.probe import observe, obstacle
from plimsoll.capabilities.advanced_inference_ingress.records import IngressRecord
from plimsoll.capabilities.advanced_inference_ingress.scene import GROUP
from plimsoll.capabilities.probe import Probe
from plimsoll.capabilities.rights import FOLLOW, MAKE, Right

PROBE = Probe(
    requirement="advanced_inference_ingress",
    records=IngressRecord,
    obstacle=obstacle,
    observe=observe,
    judge=judge,
    rights=(
        *gateways.RIGHTS,
        Right(group=GROUP, resources=("inferencepools",), verbs=(*FOLLOW, *MAKE)),
        # The probe creates the picker's account: nobody may grant rights that he does not have.
        Right(group="", resources=("serviceaccounts",), verbs=MAKE, where=GROUP),
        Right(group="", resources=("pods",), verbs=FOLLOW, where=GROUP),
        Right(group="inference.networking.x-k8s.io", resources=("inferenceobjectives",), verbs=FOLLOW),
        Right(group="rbac.authorization.k8s.io", resources=("roles", "rolebindings"), verbs=MAKE, where=GROUP),
    ),
)
