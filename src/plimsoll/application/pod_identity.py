"""Whom pods are to a cloud, in the words of a target. Pure.

Sources: IAM roles for service accounts and Pod Identity (EKS), Workload Identity Federation (GKE), Microsoft Entra
Workload ID (AKS).
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from plimsoll.application.parts import Part


class PodIdentity(Part, frozen=True, kw_only=True):
    """Whom pods are to their cloud, so that they reach its stores without keys; exactly one of the four."""

    aws_role: (
        Annotated[
            str,
            Meta(
                pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]{1,512}$",
                description="the ARN of an IAM role, for EKS",
                examples=["arn:aws:iam::123456789012:role/orders"],
            ),
        ]
        | None
    ) = None
    gcp_account: (
        Annotated[
            str,
            Meta(
                pattern=r"^[a-z][a-z0-9-]{4,28}[a-z0-9]@[a-z0-9.:-]{1,100}\.iam\.gserviceaccount\.com$",
                description="an IAM service account, for GKE",
                examples=["orders@project.iam.gserviceaccount.com"],
            ),
        ]
        | None
    ) = None
    azure_client: (
        Annotated[
            str,
            Meta(
                pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
                description="the client id of a managed identity, for AKS",
                examples=["6f3d0a8e-0000-4000-8000-2f1f5d0c9a11"],
            ),
        ]
        | None
    ) = None
    account: (
        Annotated[
            str,
            Meta(
                pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$",
                description="a ServiceAccount of the namespace that is there already, such as one of EKS Pod Identity",
                examples=["loader"],
            ),
        ]
        | None
    ) = None
    pods: Annotated[
        Literal["fetch", "steps"],
        Meta(description="fetch: pods that fetch sources; steps: also those that run the commands of this file"),
    ] = "fetch"

    @property
    def words(self) -> tuple[str, ...]:
        """The words that say who, as the file has them."""
        known = {
            "awsRole": self.aws_role,
            "gcpAccount": self.gcp_account,
            "azureClient": self.azure_client,
            "account": self.account,
        }
        return tuple(word for word, value in known.items() if value is not None)
