"""The types that every kind of part uses: the one source of the loader, the JSON Schema and the docs.

Every field's description stands here once and is shown by editors (through `plimsoll schema`) and by error messages.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from plimsoll.application.scalars import Memory, Name

API_VERSION = "plimsoll.dev/v1alpha1"

Command = Annotated[str, Meta(min_length=1, description="a command line of your own, run in the file's directory")]
Inputs = Annotated[
    tuple[str, ...],
    Meta(
        description="datasets by name, or one file of a dataset as name/file",
        examples=[["features/train.parquet"]],
    ),
]
Code = Annotated[
    tuple[str, ...],
    Meta(
        description=(
            "further files, directories or glob patterns whose change makes the step run again; "
            "the scripts that the command names and the local modules they import are found without it"
        )
    ),
]


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What every part of the file has in common: known keys only, and never changed after loading."""


class Metadata(Part, frozen=True, kw_only=True):
    """What the application is called."""

    name: Name


class Environment(Part, frozen=True, kw_only=True):
    """What the commands run in: a requirements file, an image, or (with neither) the caller's own python."""

    requirements: (
        Annotated[str, Meta(description="a pip requirements file; a cached environment is made for it")] | None
    ) = None
    image: Annotated[str, Meta(description="a container image, where the target runs containers")] | None = None


class Resources(Part, frozen=True, kw_only=True):
    """What one worker needs."""

    cpu: Annotated[float, Meta(gt=0, description="processor cores; a limit when given, else counted as one")] | None = (
        None
    )
    memory: Memory | None = None
    accelerators: Annotated[int, Meta(ge=0, description="whole accelerators")] = 0


class TargetName(Part, frozen=True, kw_only=True):
    """What a target's name in this file stands for."""

    context: str | None = None
