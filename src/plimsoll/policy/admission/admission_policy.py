"""ValidatingAdmissionPolicy and its binding: the API server itself refuses, and nothing has to run. Pure.

Source: admissionregistration.k8s.io/v1, which Kubernetes has since 1.30.
"""

from __future__ import annotations

from collections.abc import Sequence

from plimsoll.application.policies import Policies
from plimsoll.policy.admission.kinds import POD_SPECS, resource_rules
from plimsoll.policy.facts import Document
from plimsoll.policy.objects.rule import MORE_CONTAINERS
from plimsoll.policy.objects.rules import asked

API_VERSION = "admissionregistration.k8s.io/v1"
NAMESPACE_LABEL = "kubernetes.io/metadata.name"
"""The label that the API server itself sets on each namespace: nobody can give it to another."""
_OF_CONTAINERS = "{0}.map(c, has(c.image) ? c.image : '')"
_OF_VOLUMES = "p.volumes.filter(v, has(v.image)).map(v, has(v.image.reference) ? v.image.reference : '')"
_IMAGES = " + ".join(
    [
        f"variables.pods.map(p, {_OF_CONTAINERS.format('p.containers')}",
        *(f"(has(p.{kind}) ? {_OF_CONTAINERS.format(f'p.{kind}')} : [])" for kind in MORE_CONTAINERS),
        f"(has(p.volumes) ? {_OF_VOLUMES} : []))",
    ]
)
# What stands already may lose its finalizers and change its labels; what it runs may not change to something else.
_CHANGES = "request.operation == 'CREATE' || dyn(object).spec != dyn(oldObject).spec"
_TEMPLATES = "object.kind == 'PodTemplate' || "


def admission_policy(name: str, policies: Policies, namespaces: Sequence[str]) -> list[Document]:
    """A policy with a validation for each rule, and its binding to namespaces. It fails closed."""
    labels = {"app.kubernetes.io/managed-by": "plimsoll"}
    selector = {"matchExpressions": [{"key": NAMESPACE_LABEL, "operator": "In", "values": list(namespaces)}]}
    return [
        {
            "apiVersion": API_VERSION,
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": name, "labels": labels},
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {"matchPolicy": "Equivalent", "resourceRules": resource_rules()},
                "matchConditions": [{"name": "what-runs-changes", "expression": _TEMPLATES + _CHANGES}],
                "variables": [
                    {"name": "whole", "expression": "dyn(object)"},
                    {"name": "pods", "expression": POD_SPECS},
                    {"name": "images", "expression": _IMAGES},
                ],
                "validations": [
                    {
                        "expression": rule.cel(policies),
                        "message": f"{rule.name}: {rule.says}; {rule.remedy}",
                        "reason": "Forbidden",
                    }
                    for rule in asked(policies)
                ],
            },
        },
        {
            "apiVersion": API_VERSION,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": name, "labels": labels},
            "spec": {
                "policyName": name,
                "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector": selector},
            },
        },
    ]
