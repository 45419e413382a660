"""What an API server does with a ValidatingAdmissionPolicy, and Gatekeeper with a template, as far as tests need it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from plimsoll.kubernetes.memory import Admission

Object = dict[str, Any]


class AdmissionPolicies:
    """Evaluates a policy on requests; what cannot be evaluated is refused, as `failurePolicy: Fail` says."""

    def __init__(self, policy: Object, binding: Object) -> None:
        assert policy["spec"]["failurePolicy"] == "Fail"
        assert binding["spec"]["validationActions"] == ["Deny"]
        assert binding["spec"]["policyName"] == policy["metadata"]["name"]
        self._spec = policy["spec"]
        (self._namespaces,) = [
            each["values"] for each in binding["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"]
        ]

    def __call__(self, asked: Admission) -> str | None:
        """The refusal of a request; None when it is admitted."""
        if asked.object is None or asked.namespace not in self._namespaces or not self._concerns(asked):
            return None
        operation = "CREATE" if asked.verb == "create" else "UPDATE"
        return "; ".join(self.refusals(operation, asked.object, asked.before)) or None

    def refusals(self, operation: str, new: Object, old: Object | None = None) -> list[str]:
        """The names of the rules that a request breaks."""
        from .cel import evaluate

        known: dict[str, Any] = {"object": new, "oldObject": old, "request": {"operation": operation}}
        if not all(evaluate(each["expression"], known) for each in self._spec["matchConditions"]):
            return []
        variables: dict[str, Any] = {}
        for each in self._spec["variables"]:
            variables[each["name"]] = evaluate(each["expression"], {**known, "variables": variables})
        return [
            each["message"].partition(":")[0]
            for each in self._spec["validations"]
            if evaluate(each["expression"], {**known, "variables": variables}) is not True
        ]

    def _concerns(self, asked: Admission) -> bool:
        group, plural = asked.kind.resource
        name = f"{plural}/{asked.subresource}" if asked.subresource else plural
        rules = self._spec["matchConstraints"]["resourceRules"]
        return any(group in rule["apiGroups"] and name in rule["resources"] for rule in rules)


class Gatekeeper:
    """Evaluates a template with the parameters of its constraint."""

    def __init__(self, template: Object, constraint: Object) -> None:
        from regopy import Interpreter

        (target,) = template["spec"]["targets"]
        (code,) = target["code"]
        assert code["source"]["version"] == "v1"
        self._parameters = constraint["spec"]["parameters"]
        self._rego = Interpreter()
        self._rego.add_module("pods", code["source"]["rego"])

    def refusals(self, operation: str, new: Object, old: Object | None = None) -> set[str]:
        """The names of the rules that a request breaks."""
        review: Mapping[str, Any] = {"operation": operation, "object": new, "oldObject": old}
        self._rego.set_input({"review": review, "parameters": self._parameters})
        found = json.loads(str(self._rego.query("data.plimsollpods.violation")))
        return {each["msg"].partition(":")[0] for each in found["expressions"][0]}
