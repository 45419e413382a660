"""A template and a constraint of Gatekeeper: the same rules in Rego, judged by its webhook. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from plimsoll.application.policies import Policies
from plimsoll.policy.admission.kinds import KINDS
from plimsoll.policy.facts import Document
from plimsoll.policy.objects.rule import images_of
from plimsoll.policy.objects.rules import asked

KIND = "PlimsollPods"
_RULES = "pods.rego"


def gatekeeper(name: str, policies: Policies, namespaces: Sequence[str]) -> list[Document]:
    """The template, which all applications share, and the constraint of one."""
    labels = {"app.kubernetes.io/managed-by": "plimsoll"}
    texts = {"type": "array", "items": {"type": "string"}}
    parameters = {"type": "object", "properties": {"rules": texts, "registries": texts}}
    return [
        {
            "apiVersion": "templates.gatekeeper.sh/v1",
            "kind": "ConstraintTemplate",
            "metadata": {"name": KIND.lower(), "labels": labels},
            "spec": {
                "crd": {"spec": {"names": {"kind": KIND}, "validation": {"openAPIV3Schema": parameters}}},
                "targets": [
                    {
                        "target": "admission.k8s.gatekeeper.sh",
                        "code": [{"engine": "Rego", "source": {"version": "v1", "rego": rules_in_rego()}}],
                    }
                ],
            },
        },
        {
            "apiVersion": "constraints.gatekeeper.sh/v1beta1",
            "kind": KIND,
            "metadata": {"name": name, "labels": labels},
            "spec": {
                "enforcementAction": "deny",
                "match": {
                    "kinds": [{"apiGroups": [group], "kinds": list(kinds)} for group, kinds in KINDS.items()],
                    "namespaces": list(namespaces),
                },
                "parameters": {
                    "rules": [rule.name for rule in asked(policies)],
                    "registries": [f"{each}/" for each in images_of(policies).registries],
                },
            },
        },
    ]


def rules_in_rego() -> str:
    """All rules of pods in Rego."""
    return files(__package__).joinpath(_RULES).read_text(encoding="utf-8")
