"""A rule of pods in both of its forms: judged here, and as an expression that an API server evaluates. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from plimsoll.application.policies import Images, Policies
from plimsoll.policy.facts import Document
from plimsoll.policy.objects.pods import PodSpec

MORE_CONTAINERS = ("initContainers", "ephemeralContainers")
"""The fields of a pod with containers that it may lack."""


class Rule(Struct, frozen=True, kw_only=True):
    """`asks` says whether the policies ask for it, `problems` finds what breaks it in a pod.

    `cel` is the same as an expression of the Common Expression Language that is true where nothing breaks it. It may
    use `variables.pods`, a list of pod specs, and `variables.images`, a list of lists of images. Rego has its own form
    of all rules in `pods.rego` of `policy.admission`.
    """

    name: str
    says: str
    remedy: str
    asks: Callable[[Policies], bool]
    problems: Callable[[PodSpec, Policies], Iterator[str]]
    cel: Callable[[Policies], str]


def images_of(policies: Policies) -> Images:
    """What is asked of images."""
    return policies.chain.images or Images(pinned=False)


def each_container(condition: str) -> str:
    """An expression that is true when a condition holds for each container `c` of each pod `p`.

    The lists are not added to each other: of lists with keys, an API server may take what has one name for one.
    """
    more = " && ".join(f"(!has(p.{kind}) || p.{kind}.all(c, {condition}))" for kind in MORE_CONTAINERS)
    return f"variables.pods.all(p, p.containers.all(c, {condition}) && {more})"


def context(container: Document) -> Document:
    """The security context of a container or a pod."""
    found = container.get("securityContext")
    return found if isinstance(found, dict) else {}
