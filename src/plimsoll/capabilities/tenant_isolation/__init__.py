"""Tenants of a cluster are apart: no way leads from one to another.

Two tenants are made as `plimsoll tenant create` makes them. The one attacks the other by the API server, by what it
makes in its own namespace, and from its pods. Beside each refusal stands what has to work: the victim's owner does the
same, the attacker does what it may, and pods reach what they may.
"""

from plimsoll.capabilities.probe import ClusterKind, Probe
from plimsoll.capabilities.tenant_isolation.judge import judge
from plimsoll.capabilities.tenant_isolation.probe import RIGHTS, observe, obstacle
from plimsoll.capabilities.tenant_isolation.records import IsolationRecord

_POLICIES = "admissionregistration.k8s.io/v1"
PROBE = Probe(
    requirement="tenant_isolation",
    records=IsolationRecord,
    obstacle=obstacle,
    observe=observe,
    judge=judge,
    rights=RIGHTS,
    cluster_kinds=(
        ClusterKind(api_version=_POLICIES, kind="ValidatingAdmissionPolicyBinding"),
        ClusterKind(api_version=_POLICIES, kind="ValidatingAdmissionPolicy"),
    ),
)
