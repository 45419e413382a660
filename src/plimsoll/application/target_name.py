"""What a name of `spec.targets` stands for. Pure."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from plimsoll.application.parts import Labels, Part
from plimsoll.application.pod_identity import PodIdentity
from plimsoll.application.sagemaker import SageMaker


class TargetName(Part, frozen=True, kw_only=True):
    """The target that a name in this file stands for: a context of the kubeconfig, this machine, or devices."""

    context: Annotated[str, Meta(min_length=1, description="a context of the kubeconfig")] | None = None
    local: Annotated[bool, Meta(description="this machine")] = False
    devices: Labels | None = None
    namespace: (
        Annotated[
            str,
            Meta(
                pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$",
                description="the namespace of its objects; --namespace names another",
                examples=["shop"],
            ),
        ]
        | None
    ) = None
    route: (
        Annotated[
            str,
            Meta(
                min_length=1,
                description="HOST/PATH of the registry by which images, models and results reach it; "
                "--registry names another",
                examples=["registry.example/shop"],
            ),
        ]
        | None
    ) = None
    identity: PodIdentity | None = None
    sagemaker: SageMaker | None = None
