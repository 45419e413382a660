"""The types that every kind of part uses. The loader, the JSON Schema and the docs are derived from them.

Editors (through `plimsoll schema`) and error messages show the description of each field.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from plimsoll.application.accelerators import AcceleratorName
from plimsoll.application.scalars import LABEL_PATTERN, Memory, Name

API_VERSION = "plimsoll.dev/v1alpha1"

Command = Annotated[
    str, Meta(min_length=1, description="your command line; it runs in the directory of the application file")
]
Inputs = Annotated[
    tuple[str, ...],
    Meta(
        description="names of datasets, or one file of a dataset as name/file",
        examples=[["features/train.parquet"]],
    ),
]
Code = Annotated[
    tuple[str, ...],
    Meta(
        description=(
            "more files, directories or glob patterns; the step runs again when one changes. "
            "The scripts that the command names and the local modules that they import are included automatically"
        )
    ),
]


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Base of every part of the file: unknown keys are errors, and values are immutable."""


Labels = Annotated[
    dict[
        Annotated[str, Meta(pattern=LABEL_PATTERN, description="the name of a label, such as site")],
        Annotated[str, Meta(pattern=LABEL_PATTERN, description="the value of a label, such as north")],
    ],
    Meta(description="labels that devices at the edge have, all of them", examples=[{"site": "north"}]),
]


class Metadata(Part, frozen=True, kw_only=True):
    """The name of the application."""

    name: Name


class Environment(Part, frozen=True, kw_only=True):
    """The environment of the commands: a requirements file, an image, or (with neither) the caller's own python."""

    requirements: (
        Annotated[str, Meta(description="a pip requirements file; its environment is created once and cached")] | None
    ) = None
    image: Annotated[str, Meta(description="a container image, for targets that run containers")] | None = None


class Resources(Part, frozen=True, kw_only=True):
    """Resources of one worker."""

    cpu: (
        Annotated[
            float,
            Meta(
                gt=0,
                description="processor cores; sets a limit. Without it there is no limit, and one core is counted",
            ),
        ]
        | None
    ) = None
    memory: Memory | None = None
    accelerators: Annotated[int, Meta(ge=0, description="number of whole accelerators")] = 0
    accelerator: (
        Annotated[AcceleratorName, Meta(description="which accelerators, where a cluster has several kinds")] | None
    ) = None
    slice: (
        Annotated[
            str,
            Meta(
                pattern=r"^[1-9][0-9]{0,3}(x[1-9][0-9]{0,3}){1,2}$",
                description="the topology of a slice of TPUs; a training has a worker on each of its hosts",
                examples=["4x4"],
            ),
        ]
        | None
    ) = None
    spot: (
        Annotated[
            Literal["never", "allowed", "only"],
            Meta(description="whether it may run on nodes that may be taken away; without it as the cluster decides"),
        ]
        | None
    ) = None
