"""What the caller may do on a cluster, asked of the cluster itself, and which right a refusal says is missing."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from plimsoll.kubernetes.api import Api, Manifest
    from plimsoll.kubernetes.objects import Object

_REVIEWS = "/apis/authorization.k8s.io/v1"
_REFUSED = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>[a-z]+) resource "(?P<resource>[^"]+)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]*)"| at the cluster scope)'
)
_AT_ONCE = 8


class Act(Struct, frozen=True, kw_only=True):
    """What somebody wants to do, in the words of RBAC; `resource` is plural, with its part, such as `pods/log`.

    Without a namespace it is done in the cluster as a whole.
    """

    verb: str
    group: str = ""
    resource: str
    namespace: str = ""
    name: str = ""

    @property
    def what(self) -> str:
        """The resource with its API group, such as `jobs.batch`."""
        plain, slash, part = self.resource.partition("/")
        return f"{plain}{f'.{self.group}' if self.group else ''}{slash}{part}"

    def __str__(self) -> str:
        where = f"in namespace {self.namespace}" if self.namespace else "in the whole cluster"
        return f"{self.verb} {self.what} {where}"


def refused_act(message: str) -> tuple[str, Act] | None:
    """Who lacks which right, as a refusal says; None for one of another kind, such as of a quota or a webhook."""
    found = _REFUSED.search(message)
    if found is None:
        return None
    act = Act(verb=found["verb"], group=found["group"], resource=found["resource"], namespace=found["namespace"] or "")
    return found["user"], act


class Access:
    """The caller's rights. Can be used from several threads; what was answered once is not asked again."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._rules: dict[str, Sequence[Manifest]] = {}
        self._incomplete: set[str] = set()
        self._known: dict[Act, bool] = {}
        self._lock = threading.Lock()

    def lacking(self, acts: Iterable[Act]) -> list[Act]:
        """Of some acts, those that the caller may not do, in their order."""
        wanted = list(dict.fromkeys(acts))
        for namespace in {each.namespace for each in wanted if each.namespace}:
            self._learn(namespace)
        open_questions = [each for each in wanted if not self._is_settled(each)]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(self._ask, open_questions))
        return [each for each in wanted if not self.may(each)]

    def may(self, act: Act) -> bool:
        """Whether the caller may do something."""
        if act.namespace:
            self._learn(act.namespace)
        return self._known[act] if self._is_settled(act) else self._ask(act)

    def user(self) -> str:
        """The caller's name; empty where the cluster does not tell (before 1.28)."""
        from plimsoll.kubernetes.api import ApiError

        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        try:
            answer = self._api.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body=body)
        except ApiError as error:
            if error.status in (403, 404):
                return ""
            raise
        return str(answer.get("status", {}).get("userInfo", {}).get("username", ""))

    def _is_settled(self, act: Act) -> bool:
        """Whether the answer is known; the rules of a namespace give many at once, when they are all of them."""
        with self._lock:
            if act in self._known:
                return True
            if act.namespace not in self._rules:
                return False
            allowed = any(covers(rule, act) for rule in self._rules[act.namespace])
            if not allowed and act.namespace in self._incomplete:
                return False
            self._known[act] = allowed
            return True

    def _learn(self, namespace: str) -> None:
        """Read the rules that hold in a namespace. Source: the API SelfSubjectRulesReview."""
        with self._lock:
            if namespace in self._rules or namespace in self._incomplete:
                return
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": namespace},
        }
        status: Object = self._api.request("POST", f"{_REVIEWS}/selfsubjectrulesreviews", body=body).get("status", {})
        with self._lock:
            self._rules[namespace] = status.get("resourceRules") or []
            if status.get("incomplete"):
                # An authorizer that lists no rules, such as a webhook, is asked act by act.
                self._incomplete.add(namespace)

    def _ask(self, act: Act) -> bool:
        """Source: the API SelfSubjectAccessReview, which every user may call."""
        resource, _, part = act.resource.partition("/")
        attributes = {"group": act.group, "resource": resource, "verb": act.verb, "namespace": act.namespace}
        if part:
            attributes["subresource"] = part
        if act.name:
            attributes["name"] = act.name
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        answer = self._api.request("POST", f"{_REVIEWS}/selfsubjectaccessreviews", body=body)
        with self._lock:
            self._known[act] = bool(answer.get("status", {}).get("allowed"))
            return self._known[act]


def covers(rule: Object, act: Act) -> bool:
    """Whether a rule of RBAC gives the right to an act."""
    plain, _, part = act.resource.partition("/")
    resources = {"*", act.resource} | ({f"*/{part}"} if part else set())
    names = rule.get("resourceNames") or []
    return (
        bool({"*", act.verb} & set(rule.get("verbs") or []))
        and bool({"*", act.group} & set(rule.get("apiGroups") or []))
        and bool(resources & set(rule.get("resources") or []))
        and (not names or act.name in names)
        and bool(plain)
    )
