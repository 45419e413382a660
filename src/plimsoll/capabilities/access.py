"""The rights of a whole check: the ClusterRole that grants them, and those that the caller lacks."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from plimsoll.capabilities import inventory, probe_namespace
from plimsoll.capabilities.probe import Probe, all_probes
from plimsoll.capabilities.requirements import REQUIREMENTS, TENANTS
from plimsoll.capabilities.rights import Right
from plimsoll.kubernetes.api import Api, Manifest, RightsAdvice

NAME = "plimsoll-check"
"""The name of the ClusterRole."""
ADVICE = RightsAdvice(why=lambda _: "", command="plimsoll check --print-rbac")


def _probes(profile_name: str) -> list[Probe]:
    """The probes whose rights go together: all of the programme's, whatever its version, or those of tenants.

    Whoever checks for the programme need not be able to make tenants.
    """
    return [
        each for each in all_probes() if (TENANTS in REQUIREMENTS[each.requirement].levels) == (profile_name == TENANTS)
    ]


def all_rights(profile_name: str = "") -> tuple[Right, ...]:
    """The rights of the inventory, of every probe's namespace, and of each probe; each right once."""
    of_probes = [right for probe in _probes(profile_name) for right in probe.rights]
    return tuple(dict.fromkeys((*inventory.RIGHTS, *probe_namespace.RIGHTS, *of_probes)))


def cluster_role(profile_name: str = "") -> Manifest:
    """A ClusterRole with all rights, one rule for the resources of a group that need the same verbs."""
    verbs: dict[tuple[str, str], list[str]] = {}
    for right in all_rights(profile_name):
        for group, resource, verb in _single(right):
            of_resource = verbs.setdefault((group, resource), [])
            if verb not in of_resource:
                of_resource.append(verb)
    resources: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (group, resource), allowed in verbs.items():
        resources.setdefault((group, tuple(allowed)), []).append(resource)
    rules = [
        {"apiGroups": [group], "resources": names, "verbs": list(allowed)}
        for (group, allowed), names in sorted(resources.items())
    ]
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": role_name(profile_name)},
        "rules": rules,
    }


def role_name(profile_name: str) -> str:
    """The name of the ClusterRole of a profile."""
    return f"{NAME}-{TENANTS}" if profile_name == TENANTS else NAME


def missing_rights(api: Api, served: frozenset[str], profile_name: str = "") -> list[str]:
    """The rights that the caller lacks, as `verb resource.group`, for API groups that the cluster serves."""
    groups = {each.rpartition("/")[0] for each in served}
    needed = [right for right in all_rights(profile_name) if right.group in groups and right.where in {"", *groups}]
    wanted = list(dict.fromkeys(single for right in needed for single in _single(right)))
    with ThreadPoolExecutor(8) as pool:
        allowed = list(pool.map(lambda each: _is_allowed(api, *each), wanted))
    lacking = [each for each, may in zip(wanted, allowed, strict=True) if not may]
    return [f"{verb} {resource}{f'.{group}' if group else ''}" for group, resource, verb in lacking]


def _single(right: Right) -> Iterator[tuple[str, str, str]]:
    for resource in right.resources:
        for verb in right.verbs:
            yield right.group, resource, verb


def _is_allowed(api: Api, group: str, resource: str, verb: str) -> bool:
    """Source: the API SelfSubjectAccessReview, which every user may call."""
    name, _, part = resource.partition("/")
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"group": group, "resource": name, "verb": verb, "subresource": part}},
    }
    answer = api.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body=review)
    return bool(answer["status"].get("allowed"))
