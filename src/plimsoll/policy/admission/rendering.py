"""The forms in which policies are rendered for a cluster, and their names."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from plimsoll.application.loading import ApplicationFile
from plimsoll.application.policies import AT, Policies
from plimsoll.errors import FileError
from plimsoll.policy.admission.admission_policy import admission_policy
from plimsoll.policy.admission.gatekeeper import gatekeeper
from plimsoll.policy.facts import Document
from plimsoll.policy.objects.rules import asked

FORMS: Mapping[str, Callable[[str, Policies, Sequence[str]], list[Document]]] = MappingProxyType(
    {"admission-policy": admission_policy, "gatekeeper": gatekeeper}
)
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def rendered(file: ApplicationFile, form: str, namespaces: Sequence[str]) -> list[Document]:
    """The objects of a form that hold in namespaces.

    Raises FileError for what is no namespace, and for policies that ask for nothing of pods.
    """
    policies = file.application.policies
    require_namespaces(namespaces)
    if not asked(policies):
        hint = "add `images` to supply-chain, or `pods: restricted`"
        raise file.error("the policies ask for nothing of pods and their images", hint, *AT, at_key=True)
    places = sorted(set(namespaces))
    # Objects of a cluster as a whole: the same application in other namespaces has its own.
    mark = hashlib.sha256("\0".join(places).encode()).hexdigest()[:8]
    return FORMS[form](f"plimsoll-{file.application.name[:40].strip('-')}-{mark}", policies, places)


def require_namespaces(namespaces: Sequence[str]) -> None:
    """Raise FileError for what is no name of a namespace."""
    for namespace in namespaces:
        if not _NAMESPACE.fullmatch(namespace):
            hint = "name a namespace in lower case, digits and '-'"
            raise FileError(f"'{namespace}' is not the name of a namespace", where="--namespace", hint=hint)
