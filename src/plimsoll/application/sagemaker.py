"""Trainings and services that Amazon SageMaker carries out, in the words of a target. Pure.

Source: CreateTrainingJob of the SageMaker API, as the ACK controller has its fields.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from plimsoll.application.parts import Part


class SageMaker(Part, frozen=True, kw_only=True):
    """Have trainings, and services with `serve`, carried out by SageMaker, through the cluster's ACK controller."""

    role: Annotated[
        str,
        Meta(
            pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]{1,512}$",
            description="the ARN of the IAM role that the jobs have; it pulls from the registry and pushes to it",
            examples=["arn:aws:iam::123456789012:role/training"],
        ),
    ]
    output: Annotated[
        str,
        Meta(
            pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.{0,900})?$",
            description="where SageMaker leaves what it makes itself; results go to the registry as ever",
            examples=["s3://bucket/trainings"],
        ),
    ]
    instance: Annotated[
        str,
        Meta(
            pattern=r"^ml\.[a-z0-9-]{1,30}\.[a-z0-9-]{1,30}$",
            description="the machine of each worker",
            examples=["ml.m5.xlarge"],
        ),
    ]
    serve: (
        Annotated[
            str,
            Meta(
                pattern=r"^ml\.[a-z0-9-]{1,30}\.[a-z0-9-]{1,30}$",
                description="the machine of each service; with it services are Endpoints, without it they run in pods",
                examples=["ml.m5.large"],
            ),
        ]
        | None
    ) = None
    volume: Annotated[int, Meta(ge=1, le=16384, description="the disk of each machine, in GB")] = 30
    subnets: Annotated[tuple[str, ...], Meta(description="subnets of a VPC, from which the registry is reached")] = ()
    security_groups: Annotated[tuple[str, ...], Meta(description="security groups in that VPC")] = ()
