"""Whom pods are to the cloud of a cluster: the account that follows from the file, and what a platform lacks. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from plimsoll.application.pod_identity import PodIdentity
from plimsoll.kubernetes.cluster import Cluster, PodAccount
from plimsoll.kubernetes.platforms import BY_NAME, platform_of
from plimsoll.planning.capacity import Shortfall
from plimsoll.targets.kubernetes import names

_PLATFORMS: Mapping[str, str] = MappingProxyType({"awsRole": "eks", "gcpAccount": "gke", "azureClient": "aks"})
"""Which platform a word of the file is for. An account that is there already may be on any."""
SUFFIX = "-data"
"""What the account is called after the application's name."""


def pod_account(identity: PodIdentity | None, cluster: Cluster, application: str) -> PodAccount | None:
    """The account of pods on a cluster; None where the file says nothing, or what this platform does not have."""
    if identity is None or any(identity_problems(identity, cluster, "")):
        return None
    steps = identity.pods == "steps"
    if identity.account is not None:
        found = platform_of(cluster)
        labels = dict(found.pod_labels) if found is not None else {}
        return PodAccount(name=identity.account, made=False, steps=steps, pod_labels=labels)
    word, value = _named(identity)
    platform = BY_NAME[_PLATFORMS[word]]
    return PodAccount(
        name=names.short(f"{application}{SUFFIX}", 63),
        made=True,
        steps=steps,
        annotations={platform.identity: value},
        pod_labels=platform.pod_labels,
    )


def identity_problems(identity: PodIdentity | None, cluster: Cluster, target: str) -> Iterator[Shortfall]:
    """A word of another platform; `target` is what the file calls the target. Of unseen nodes nothing is held."""
    if identity is None or identity.account is not None:
        return
    word, _ = _named(identity)
    wanted, found = BY_NAME[_PLATFORMS[word]], platform_of(cluster)
    if found is wanted or (found is None and not cluster.nodes):
        return
    here = f"is {found.title}" if found is not None else "does not look like that"
    message = f"`{word}` is for {wanted.title}, and {cluster.target} {here}"
    own = next((each for each, name in _PLATFORMS.items() if found is not None and name == found.name), None)
    remedy = "name an account of the namespace that is there: account: NAME"
    remedy = f"write {own}, or {remedy}" if own else remedy
    yield Shortfall(step="", setting=("spec", "targets", target, "identity", word), message=message, remedy=remedy)


def _named(identity: PodIdentity) -> tuple[str, str]:
    """The word of a platform, and its value."""
    values = {"awsRole": identity.aws_role, "gcpAccount": identity.gcp_account, "azureClient": identity.azure_client}
    return next((word, value) for word, value in values.items() if value is not None)
