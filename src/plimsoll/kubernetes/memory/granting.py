"""Nobody gives rights away that they do not have: what an API server refuses of roles and of their bindings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from plimsoll.kubernetes.access import Act
from plimsoll.kubernetes.memory.access import Access
from plimsoll.kubernetes.memory.admission import Admission
from plimsoll.kubernetes.memory.refusals import Manifest, forbidden

RBAC = "rbac.authorization.k8s.io"
_ROLES = frozenset({"roles", "clusterroles"})
_BINDINGS = frozenset({"rolebindings", "clusterrolebindings"})


def grants(access: Access) -> Callable[[Admission], None]:
    """A check that raises StatusError (403) for a role, or a binding, with more than its maker may do."""

    def check(asked: Admission) -> None:
        if asked.kind.group != RBAC or asked.object is None:
            return
        if asked.kind.plural in _ROLES and asked.object.get("rules") != (asked.before or {}).get("rules"):
            _check(access, asked, "escalate", asked.kind.plural, asked.name, asked.object.get("rules") or [])
        if asked.kind.plural in _BINDINGS:
            reference = asked.object["roleRef"]
            plural = "clusterroles" if reference["kind"] == "ClusterRole" else "roles"
            rules = access.role(reference, asked.namespace)
            _check(access, asked, "bind", plural, reference["name"], rules)

    return check


def _check(access: Access, asked: Admission, verb: str, plural: str, name: str, rules: Iterable[Manifest]) -> None:
    may = Act(verb=verb, group=RBAC, resource=plural, namespace=asked.namespace, name=name)
    if access.may(asked.user, may):
        return
    lacking = [act for rule in rules for act in _acts(rule, asked.namespace) if not access.may(asked.user, act)]
    if lacking:
        told = f'user "{asked.user.name}" is attempting to grant RBAC permissions not currently held:\n{lacking[0]}'
        raise forbidden(asked.kind.plural, asked.name, asked.kind.group, told)


def _acts(rule: Manifest, namespace: str) -> Iterator[Act]:
    """Everything that a rule allows; what it allows of anything needs the right to anything."""
    for group in rule.get("apiGroups") or []:
        for resource in rule.get("resources") or []:
            for verb in rule.get("verbs") or []:
                for name in rule.get("resourceNames") or [""]:
                    yield Act(verb=verb, group=group, resource=resource, namespace=namespace, name=name)
