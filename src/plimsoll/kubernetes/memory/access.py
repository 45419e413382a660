"""Who may do what: RBAC objects of the cluster, and rights that a test takes away."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from plimsoll.kubernetes.access import Act, covers
from plimsoll.kubernetes.memory.refusals import Manifest, StatusError, forbidden, qualified
from plimsoll.kubernetes.memory.requests import ADMINISTRATORS, OWN_AUDIENCE, User
from plimsoll.kubernetes.memory.store import Store

_RBAC = "rbac.authorization.k8s.io"
_EVERYBODY = (
    ("authorization.k8s.io", "selfsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectrulesreviews"),
    ("authentication.k8s.io", "selfsubjectreviews"),
)
"""What the ClusterRole system:basic-user gives to everybody who is known."""


class Denial(Struct, frozen=True, kw_only=True):
    """A right that nobody has, whatever RBAC says. Empty fields stand for anything."""

    verb: str = ""
    group: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""

    def covers(self, act: Act) -> bool:
        """Whether the act is denied."""
        pairs = (
            (self.verb, act.verb),
            (self.group, act.group),
            (self.resource, act.resource),
            (self.namespace, act.namespace),
            (self.name, act.name),
        )
        return all(wanted in ("", found) for wanted, found in pairs)


class Access:
    """The rights of a cluster's users. Can be used from several threads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._denials: list[Denial] = []
        self._lock = threading.Lock()

    def deny(self, denial: Denial) -> None:
        """Take a right away from everybody."""
        with self._lock:
            self._denials.append(denial)

    def allow(self, denial: Denial) -> None:
        """Give a right back. Raises ValueError when it was not taken away."""
        with self._lock:
            self._denials.remove(denial)

    def denies(self) -> bool:
        """Whether rights are taken away that RBAC may give."""
        with self._lock:
            return bool(self._denials)

    def may(self, user: User, act: Act) -> bool:
        """Whether a user may do something."""
        with self._lock:
            denied = any(each.covers(act) for each in self._denials)
        if denied:
            return False
        if ADMINISTRATORS in user.groups:
            return True
        if (act.group, act.resource) in _EVERYBODY:
            return "system:authenticated" in user.groups
        return any(covers(rule, act) for rule in self.rules(user, act.namespace))

    def check(self, user: User, act: Act) -> None:
        """Raises StatusError (403) for what a user may not do."""
        if not self.may(user, act):
            raise denied(user, act)

    def rules(self, user: User, namespace: str) -> Iterator[Manifest]:
        """The rules of RBAC that a user has in a namespace, or in the cluster as a whole when it is empty."""
        for binding in self._store.list((_RBAC, "clusterrolebindings")):
            if _binds(binding, user):
                yield from self.role(binding["roleRef"], "")
        for binding in self._store.list((_RBAC, "rolebindings"), namespace) if namespace else ():
            if _binds(binding, user):
                yield from self.role(binding["roleRef"], namespace)

    def role(self, reference: Manifest, namespace: str) -> Sequence[Manifest]:
        """The rules of a role that a binding names; none of one that there is not."""
        cluster = reference["kind"] == "ClusterRole"
        found = self._store.list((_RBAC, "clusterroles" if cluster else "roles"), "" if cluster else namespace)
        rules = [each.get("rules") or [] for each in found if each["metadata"]["name"] == reference["name"]]
        return rules[0] if rules else []


def denied(user: User, act: Act) -> StatusError:
    """The 403 of somebody without a right."""
    where = f'in the namespace "{act.namespace}"' if act.namespace else "at the cluster scope"
    plain = act.resource.partition("/")[0]
    why = f'User "{user.name}" cannot {act.verb} resource "{act.resource}" in API group "{act.group}" {where}'
    if not act.name:
        return forbidden(plain, "", act.group, why)
    return forbidden(plain, act.name, act.group, why)


def _binds(binding: Manifest, user: User) -> bool:
    for subject in binding.get("subjects") or []:
        name = subject["name"]
        if subject["kind"] == "User" and name == user.name:
            return True
        if subject["kind"] == "Group" and name in user.groups:
            return True
        # An account of no namespace is one of the binding's own.
        place = subject.get("namespace") or binding["metadata"].get("namespace", "")
        account = f"system:serviceaccount:{place}:{name}"
        if subject["kind"] == "ServiceAccount" and account == user.name:
            return True
    return False


def of_token(users: Mapping[str, User], review: Manifest) -> Manifest:
    """A TokenReview with its answer: whose token it is, if it is for one of the audiences that are asked about."""
    spec = review.get("spec") or {}
    user, wanted = users.get(spec.get("token", "")), spec.get("audiences") or [OWN_AUDIENCE]
    shared = [each for each in wanted if user is not None and each in user.audiences]
    if user is None or not shared:
        error = "invalid bearer token" if user is None else f"token audiences {list(user.audiences)} is invalid"
        return {**review, "status": {"authenticated": False, "error": error}}
    about = {"username": user.name, "uid": user.name, "groups": list(user.groups)}
    return {**review, "status": {"authenticated": True, "user": about, "audiences": shared}}


def of_subject(access: Access, review: Manifest, namespace: str = "") -> Manifest:
    """A SubjectAccessReview, or a local one of a namespace, with its answer. Raises StatusError (422)."""
    spec = review.get("spec") or {}
    attributes = spec.get("resourceAttributes") or {}
    if namespace and attributes.get("namespace") != namespace:
        raise StatusError(422, "Invalid", "spec.resourceAttributes.namespace must match metadata.namespace")
    return reviewed(access, User(name=spec.get("user", ""), groups=tuple(spec.get("groups") or ())), review)


def reviewed(access: Access, user: User, review: Manifest) -> Manifest:
    """A SelfSubjectAccessReview with its answer."""
    asked = (review.get("spec") or {}).get("resourceAttributes") or {}
    part = f"/{asked['subresource']}" if asked.get("subresource") else ""
    act = Act(
        verb=asked.get("verb", ""),
        group=asked.get("group", ""),
        resource=f"{asked.get('resource', '')}{part}",
        namespace=asked.get("namespace", ""),
        name=asked.get("name", ""),
    )
    may = access.may(user, act)
    reason = "" if may else f"no rule lets {user.name} {act.verb} {qualified(act.resource, act.group)}"
    return {**review, "status": {"allowed": may, **({"reason": reason} if reason else {})}}


def listed(access: Access, user: User, review: Manifest) -> Manifest:
    """A SelfSubjectRulesReview with its answer."""
    namespace = (review.get("spec") or {}).get("namespace", "")
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
    basic = [{"verbs": ["create"], "apiGroups": [group], "resources": [each]} for group, each in _EVERYBODY]
    rules = [everything] if ADMINISTRATORS in user.groups else [*access.rules(user, namespace), *basic]
    # A right that nobody has is none of RBAC's: rules do not tell of it, and every act has to be asked for.
    partly = access.denies()
    found = {"resourceRules": [] if partly else rules, "nonResourceRules": [], "incomplete": partly}
    return {**review, "status": found}
