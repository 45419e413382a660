"""What processes of pods may do on their node: users, capabilities, system calls. Pure.

Source: the Pod Security Standards of Kubernetes, level restricted.
"""

from __future__ import annotations

from collections.abc import Iterator

from plimsoll.application.policies import Policies
from plimsoll.policy.objects.pods import PodSpec
from plimsoll.policy.objects.rule import Rule, context, each_container

_PROFILES = ("RuntimeDefault", "Localhost")


def _restricted(policies: Policies) -> bool:
    return policies.pods == "restricted"


def _privileged(pod: PodSpec, _: Policies) -> Iterator[str]:
    for name, container in pod.containers:
        if context(container).get("privileged"):
            yield f"{name}: privileged"
        if context(container).get("allowPrivilegeEscalation") is not False:
            yield f"{name}: allowPrivilegeEscalation is not false"
        if context(container).get("procMount", "Default") != "Default":
            yield f"{name}: procMount {context(container)['procMount']}"


def _root(pod: PodSpec, _: Policies) -> Iterator[str]:
    whole = context(pod.spec)
    if whole.get("runAsUser") == 0:
        yield "runAsUser: 0"
    for name, container in pod.containers:
        own = context(container)
        if own.get("runAsNonRoot", whole.get("runAsNonRoot")) is not True:
            yield f"{name}: runAsNonRoot is not true"
        if own.get("runAsUser") == 0:
            yield f"{name}: runAsUser: 0"


def _capabilities(pod: PodSpec, _: Policies) -> Iterator[str]:
    for name, container in pod.containers:
        found = context(container).get("capabilities")
        found = found if isinstance(found, dict) else {}
        if "ALL" not in (found.get("drop") or ()):
            yield f"{name}: it does not drop ALL capabilities"
        if added := [each for each in found.get("add") or () if each != "NET_BIND_SERVICE"]:
            yield f"{name}: it adds {', '.join(map(str, added))}"


def _seccomp(pod: PodSpec, _: Policies) -> Iterator[str]:
    for name, container in pod.containers:
        for whose in (context(container), context(pod.spec)):
            profile = whose.get("seccompProfile")
            if isinstance(profile, dict):
                break
        else:
            profile = {}
        if profile.get("type") not in _PROFILES:
            yield f"{name}: seccompProfile {profile.get('type', 'is not set')}"


_OWN = "has(c.securityContext)"
_PROFILE_IS = " || ".join(f"{{0}}.securityContext.seccompProfile.type == '{each}'" for each in _PROFILES)
_PRIVILEGED = (
    f"{_OWN} && (!has(c.securityContext.privileged) || c.securityContext.privileged != true)"
    " && has(c.securityContext.allowPrivilegeEscalation) && c.securityContext.allowPrivilegeEscalation == false"
    " && (!has(c.securityContext.procMount) || c.securityContext.procMount == 'Default')"
)
_NOT_ROOT = "(!has({0}.securityContext) || !has({0}.securityContext.runAsUser) || {0}.securityContext.runAsUser != 0)"
_NON_ROOT = (
    f"{_NOT_ROOT.format('p')} && {_NOT_ROOT.format('c')} && ({_OWN} && has(c.securityContext.runAsNonRoot)"
    " ? c.securityContext.runAsNonRoot == true"
    " : has(p.securityContext) && has(p.securityContext.runAsNonRoot) && p.securityContext.runAsNonRoot == true)"
)
_DROPPED = (
    f"{_OWN} && has(c.securityContext.capabilities) && has(c.securityContext.capabilities.drop)"
    " && c.securityContext.capabilities.drop.exists(d, d == 'ALL') && (!has(c.securityContext.capabilities.add)"
    " || c.securityContext.capabilities.add.all(a, a == 'NET_BIND_SERVICE'))"
)
_CONFINED = (
    f"({_OWN} && has(c.securityContext.seccompProfile)) ? ({_PROFILE_IS.format('c')}) : (has(p.securityContext)"
    f" && has(p.securityContext.seccompProfile) && ({_PROFILE_IS.format('p')}))"
)

RULES = (
    Rule(
        name="privileges",
        says="no container is privileged, or may become it",
        remedy="set securityContext.allowPrivilegeEscalation: false, and leave privileged and procMount out",
        asks=_restricted,
        problems=_privileged,
        cel=lambda _: each_container(_PRIVILEGED),
    ),
    Rule(
        name="non-root",
        says="no container runs as root",
        remedy="set securityContext.runAsNonRoot: true, and no runAsUser: 0",
        asks=_restricted,
        problems=_root,
        cel=lambda _: each_container(_NON_ROOT),
    ),
    Rule(
        name="capabilities",
        says="containers drop all capabilities, and add NET_BIND_SERVICE at most",
        remedy='set securityContext.capabilities.drop: ["ALL"]',
        asks=_restricted,
        problems=_capabilities,
        cel=lambda _: each_container(_DROPPED),
    ),
    Rule(
        name="seccomp",
        says="containers are confined by a seccomp profile",
        remedy="set securityContext.seccompProfile.type: RuntimeDefault",
        asks=_restricted,
        problems=_seccomp,
        cel=lambda _: each_container(_CONFINED),
    ),
)
