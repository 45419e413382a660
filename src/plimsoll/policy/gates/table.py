"""The table of gates. A new one is a module beside this one, and one line here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from plimsoll.application.policies import Policies
from plimsoll.policy.facts import Facts
from plimsoll.policy.findings import Judged
from plimsoll.policy.gates.bills import bills
from plimsoll.policy.gates.images import images
from plimsoll.policy.gates.licences import licences
from plimsoll.policy.gates.objects import objects
from plimsoll.policy.gates.origins import origins
from plimsoll.policy.gates.provenance import provenance
from plimsoll.policy.gates.scanned import scanned
from plimsoll.policy.gates.screened import screened
from plimsoll.policy.gates.signed import signed
from plimsoll.policy.gates.vulnerabilities import vulnerabilities

Gate = Callable[[Policies, Facts], Iterable[Judged]]

GATES: Mapping[str, Gate] = MappingProxyType(
    {
        "images": images,
        "origins": origins,
        "licences": licences,
        "vulnerabilities": vulnerabilities,
        "signed": signed,
        "provenance": provenance,
        "sbom": bills,
        "scanned": scanned,
        "screened": screened,
        "objects": objects,
    }
)


def judge(policies: Policies, facts: Facts) -> tuple[Judged, ...]:
    """What the gates find, in their order, and what has to wait for a version that is not there yet."""
    found = [each for gate in GATES.values() for each in gate(policies, facts)]
    gates = ", ".join(dict.fromkeys(policies.chain.require))
    for later in facts.later if gates else ():
        reason = f"judged after {later.until}, before {', '.join(later.used_by)}"
        found.append(Judged(gate=gates, about=later.name, verdict="later", reason=reason, where=later.place))
    return tuple(found)
