"""Creates admission policies for cheats. They apply only in the namespaces of checks."""

from __future__ import annotations

from typing import Any

from lab.cheats.scene import Manifest, Scene
from lab.kubectl import get, wait

_API = "admissionregistration.k8s.io/v1"
_GANGS = "has(object.metadata.labels) && 'plimsoll.dev/gang' in object.metadata.labels"


def suspend_jobs(scene: Scene) -> None:
    """Suspend every Job of a check, so that none ever runs."""
    suspend = '[JSONPatch{op: "add", path: "/spec/suspend", value: true}]'
    change(scene, [("batch", "jobs")], suspend, conditions=("has(object.spec.template)",), suffix="jobs")


def hold_native_gangs(scene: Scene) -> None:
    """Give pods of Kubernetes' native gangs a scheduling gate that nothing removes."""
    gate = '[JSONPatch{op: "add", path: "/spec/schedulingGates", value: [{"name": "plimsoll.dev/held"}]}]'
    change(scene, [("", "pods")], gate, conditions=(_GANGS, "has(object.spec.schedulingGroup)"), suffix="pods")


def refuse(scene: Scene, kinds: list[tuple[str, str]], expression: str, message: str) -> None:
    """Refuse objects for which `expression` (CEL) is false, with the text of `message` (CEL too)."""
    name = f"cheat-{scene.name}"
    validation = {"expression": expression, "messageExpression": message, "reason": "Forbidden"}
    spec = {"matchConstraints": _rules(kinds), "validations": [validation], "failurePolicy": "Fail"}
    bind = {"policyName": name, "validationActions": ["Deny"]}
    scene.make(
        _object("ValidatingAdmissionPolicy", name, spec), _object("ValidatingAdmissionPolicyBinding", name, bind)
    )
    wait("the API server to observe the policy", lambda: _unobserved("validatingadmissionpolicy", name), 30)


def change(
    scene: Scene, kinds: list[tuple[str, str]], patch: str, conditions: tuple[str, ...] = (), suffix: str = "all"
) -> None:
    """Change objects that meet all conditions by `patch`, a CEL expression that gives JSON patches."""
    name = f"cheat-{scene.name}-{suffix}"
    spec = {
        "matchConstraints": _rules(kinds),
        "matchConditions": [{"name": f"c{n}", "expression": each} for n, each in enumerate(conditions)],
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch}}],
        "failurePolicy": "Fail",
        "reinvocationPolicy": "IfNeeded",
    }
    scene.make(
        _object("MutatingAdmissionPolicy", name, spec),
        _object("MutatingAdmissionPolicyBinding", name, {"policyName": name}),
    )


def _unobserved(kind: str, name: str) -> str | None:
    policy = get(kind, name)
    observed = policy.get("status", {}).get("observedGeneration", 0)
    return None if observed >= policy["metadata"]["generation"] else "it is not observed yet"


def _rules(kinds: list[tuple[str, str]]) -> dict[str, Any]:
    rules = [
        {"apiGroups": [group], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"], "resources": [resource]}
        for group, resource in kinds
    ]
    # The lab's own objects must keep working, so only namespaces of checks are selected.
    checks_only = {"matchExpressions": [{"key": "plimsoll.dev/check", "operator": "Exists"}]}
    return {"resourceRules": rules, "namespaceSelector": checks_only}


def _object(kind: str, name: str, spec: Any) -> Manifest:
    return {"apiVersion": _API, "kind": kind, "metadata": {"name": name}, "spec": spec}
