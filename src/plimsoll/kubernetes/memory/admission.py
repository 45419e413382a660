"""Who has a say before an object is taken: hooks of a test, the life of namespaces, and quotas."""

from __future__ import annotations

import threading
from collections.abc import Callable

from msgspec import Struct

from plimsoll.kubernetes.memory.kinds import ServedKind
from plimsoll.kubernetes.memory.limits import check_limits, with_requests
from plimsoll.kubernetes.memory.pod_security import check_level
from plimsoll.kubernetes.memory.quotas import check_quota
from plimsoll.kubernetes.memory.refusals import Cause, Manifest, StatusError, forbidden, not_found
from plimsoll.kubernetes.memory.requests import User
from plimsoll.kubernetes.memory.store import Key, Store
from plimsoll.kubernetes.memory.values import copied

_LASTING = frozenset({"default", "kube-system", "kube-public"})


class Admission(Struct, frozen=True, kw_only=True):
    """What a hook is asked about. `verb` is create, update or delete; a deletion has only `before`.

    `object` is the hook's own copy: a mutating hook may change and return it.
    """

    verb: str
    kind: ServedKind
    namespace: str
    name: str
    subresource: str
    user: User
    dry_run: bool
    object: Manifest | None
    before: Manifest | None


Mutate = Callable[[Admission], Manifest | None]
"""Gives the object as it is to be, or `None` to leave it as it is. May raise StatusError."""
Validate = Callable[[Admission], str | None]
"""Gives the reason for which the object is refused, or `None`. May raise StatusError."""


class Admitters:
    """The hooks of a cluster, asked in their order: those that change objects first. Called without any lock."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._mutating: list[Mutate] = []
        self._validating: list[tuple[str, Validate]] = []
        self.granting: Callable[[Admission], None] = lambda _: None

    def mutate(self, hook: Mutate) -> None:
        """Have a hook change objects before they are taken."""
        with self._lock:
            self._mutating.append(hook)

    def validate(self, hook: Validate, name: str) -> None:
        """Have a hook refuse objects, as the webhook of that name."""
        with self._lock:
            self._validating.append((name, hook))

    def changed(self, asked: Admission) -> Manifest:
        """The object after all mutating hooks."""
        with self._lock:
            hooks = list(self._mutating)
        found: Manifest = self._with_account(asked)
        for hook in hooks:
            found = hook(_with(asked, found)) or found
        if asked.verb == "create" and asked.kind.resource == ("", "pods"):
            found = with_requests(self._store, asked.namespace, found)
        return found

    def _with_account(self, asked: Admission) -> Manifest:
        """A new pod pulls images as its account does, unless it says how itself."""
        found: Manifest = asked.object or {}
        if asked.verb != "create" or asked.kind.resource != ("", "pods") or found["spec"].get("imagePullSecrets"):
            return found
        name = found["spec"].get("serviceAccountName", "default")
        account = self._store.get(Key("", "serviceaccounts", asked.namespace, name)) or {}
        secrets = account.get("imagePullSecrets")
        return {**found, "spec": {**found["spec"], "imagePullSecrets": secrets}} if secrets else found

    def check(self, asked: Admission) -> None:
        """Raises StatusError for an object that a hook or a quota does not take."""
        with self._lock:
            hooks = list(self._validating)
        self.granting(asked)
        for name, hook in hooks:
            reason = hook(_with(asked, asked.object))
            if reason is not None:
                raise StatusError(403, "Forbidden", f'admission webhook "{name}" denied the request: {reason}')
        if asked.verb == "create":
            self._check_pod(asked)
            check_quota(self._store, asked.kind, asked.namespace, asked.name, asked.object or {})

    def _check_pod(self, asked: Admission) -> None:
        """Raises StatusError (403) for a pod that names what is not there, or that its namespace forbids."""
        if asked.kind.resource != ("", "pods") or asked.object is None:
            return
        spec, namespace = asked.object["spec"], asked.namespace
        account = spec.get("serviceAccountName", "default")
        if self._store.get(Key("", "serviceaccounts", namespace, account)) is None:
            why = f'error looking up service account {namespace}/{account}: serviceaccount "{account}" not found'
            raise forbidden("pods", asked.name, "", why)
        priority = spec.get("priorityClassName")
        known = self._store.get(Key("scheduling.k8s.io", "priorityclasses", "", priority or "")) is not None
        if priority and not known and not priority.startswith("system-"):
            raise forbidden("pods", asked.name, "", f"no PriorityClass with name {priority} was found")
        runtime = spec.get("runtimeClassName")
        if runtime and self._store.get(Key("node.k8s.io", "runtimeclasses", "", runtime)) is None:
            raise forbidden("pods", asked.name, "", f'pod rejected: RuntimeClass "{runtime}" not found')
        check_limits(self._store, namespace, asked.object, asked.name)
        found = self._store.get(Key("", "namespaces", "", namespace))
        if found is not None:
            check_level(found, asked.object)

    def check_namespace(self, kind: ServedKind, namespace: str, name: str) -> None:
        """Raises StatusError for a new object in a namespace that is not there (404) or is ending (403)."""
        if not kind.namespaced:
            return
        found = self._store.get(Key("", "namespaces", "", namespace))
        if found is None:
            raise not_found("namespaces", namespace)
        if found["metadata"].get("deletionTimestamp"):
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            words = f"namespace {namespace} is being terminated"
            cause = Cause(field="metadata.namespace", message=words, reason="NamespaceTerminating")
            raise forbidden(kind.plural, name, kind.group, why, [cause])

    def check_deletion(self, asked: Admission) -> None:
        """Raises StatusError for an object that may not be deleted."""
        if asked.kind.resource == ("", "namespaces") and asked.name in _LASTING:
            raise forbidden("namespaces", asked.name, "", "this namespace may not be deleted")
        self.check(asked)


def _with(asked: Admission, manifest: Manifest | None) -> Admission:
    return Admission(
        verb=asked.verb,
        kind=asked.kind,
        namespace=asked.namespace,
        name=asked.name,
        subresource=asked.subresource,
        user=asked.user,
        dry_run=asked.dry_run,
        object=copied(manifest),
        before=copied(asked.before),
    )
