"""The table of the rules of pods. A new rule is a value in a module beside this one, and its form in `pods.rego`."""

from __future__ import annotations

from plimsoll.application.policies import Policies
from plimsoll.policy.objects import host, images, privileges
from plimsoll.policy.objects.rule import Rule

RULES: tuple[Rule, ...] = (*images.RULES, *host.RULES, *privileges.RULES)


def asked(policies: Policies) -> tuple[Rule, ...]:
    """The rules that policies ask for."""
    return tuple(rule for rule in RULES if rule.asks(policies))
