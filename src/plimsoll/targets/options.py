"""Options of a target, in addition to its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from plimsoll.application.pod_identity import PodIdentity
from plimsoll.application.sagemaker import SageMaker

if TYPE_CHECKING:
    from plimsoll.vault.key_sources import KeySource


class TargetOptions(Struct, frozen=True, kw_only=True):
    """Options of a target; `None` lets the target decide.

    `namespace` is the namespace of its objects, `registry` a host and path that nodes, pods and this machine all reach,
    `base` the base image for the layers of the user's code, `prefer` names of preferred providers. `image` is
    `spec.environment.image` of the application file; `base` overrides it. `unbarred` plans as if the caller had every
    right, to tell which ones that takes. `identity` is whom pods are to the cloud, `sagemaker` how
    trainings are handed to it, and `called` what the file calls the target, all of them from the file. `secret` names
    the Secret and the entry by which pods have the key under which results in the registry are encrypted, and `key` is
    where this machine has it.
    """

    namespace: str | None = None
    registry: str | None = None
    base: str | None = None
    prefer: tuple[str, ...] = ()
    image: str | None = None
    unbarred: bool = False
    identity: PodIdentity | None = None
    sagemaker: SageMaker | None = None
    called: str = ""
    secret: str = ""
    key: KeySource | None = None


CLUSTER_ONLY = ("namespace", "registry", "base", "prefer")
"""Options that only a cluster supports, by the name of their flag."""
