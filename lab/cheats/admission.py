"""Admission policies for cheats. They apply only in the namespaces of checks."""

from __future__ import annotations

from typing import Any

from lab.cheats.active import ActiveCheat
from lab.documents import Manifest
from lab.kubectl import get, wait

_API = "admissionregistration.k8s.io/v1"
_GANGS = "has(object.metadata.labels) && 'plimsoll.dev/gang' in object.metadata.labels"


def suspend_jobs(cheat: ActiveCheat) -> None:
    """Suspends every Job of a check, so that none runs."""
    suspend = '[JSONPatch{op: "add", path: "/spec/suspend", value: true}]'
    mutate(cheat, [("batch", "jobs")], suspend, conditions=("has(object.spec.template)",), suffix="jobs")


def hold_native_gangs(cheat: ActiveCheat) -> None:
    """Adds a scheduling gate that nothing removes to the pods of native gangs."""
    gate = '[JSONPatch{op: "add", path: "/spec/schedulingGates", value: [{"name": "plimsoll.dev/held"}]}]'
    mutate(cheat, [("", "pods")], gate, conditions=(_GANGS, "has(object.spec.schedulingGroup)"), suffix="pods")


def deny(cheat: ActiveCheat, kinds: list[tuple[str, str]], expression: str, message: str) -> None:
    """Denies objects for which the CEL `expression` is false, with the message of the CEL expression `message`."""
    name = f"cheat-{cheat.name}"
    validation = {"expression": expression, "messageExpression": message, "reason": "Forbidden"}
    spec = {"matchConstraints": _rules(kinds), "validations": [validation], "failurePolicy": "Fail"}
    bind = {"policyName": name, "validationActions": ["Deny"]}
    cheat.create(
        _object("ValidatingAdmissionPolicy", name, spec), _object("ValidatingAdmissionPolicyBinding", name, bind)
    )
    wait("the API server to observe the policy", lambda: _not_observed("validatingadmissionpolicy", name), 30)


def mutate(
    cheat: ActiveCheat, kinds: list[tuple[str, str]], patch: str, conditions: tuple[str, ...] = (), suffix: str = "all"
) -> None:
    """Changes objects that meet all conditions by `patch`, a CEL expression that returns JSON patches."""
    name = f"cheat-{cheat.name}-{suffix}"
    spec = {
        "matchConstraints": _rules(kinds),
        "matchConditions": [{"name": f"c{n}", "expression": each} for n, each in enumerate(conditions)],
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch}}],
        "failurePolicy": "Fail",
        "reinvocationPolicy": "IfNeeded",
    }
    cheat.create(
        _object("MutatingAdmissionPolicy", name, spec),
        _object("MutatingAdmissionPolicyBinding", name, {"policyName": name}),
    )


def _not_observed(kind: str, name: str) -> str | None:
    found = get(kind, name)
    seen = found.get("status", {}).get("observedGeneration", 0)
    return None if seen >= found["metadata"]["generation"] else "it has not observed the policy"


def _rules(kinds: list[tuple[str, str]]) -> dict[str, Any]:
    rules = [
        {"apiGroups": [group], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"], "resources": [resource]}
        for group, resource in kinds
    ]
    # The lab's own objects must keep working.
    chosen = {"matchExpressions": [{"key": "plimsoll.dev/check", "operator": "Exists"}]}
    return {"resourceRules": rules, "namespaceSelector": chosen}


def _object(kind: str, name: str, spec: Any) -> Manifest:
    return {"apiVersion": _API, "kind": kind, "metadata": {"name": name}, "spec": spec}
