"""What the file says of how far the processes of a step are kept apart from the machine, and from each other's data."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from plimsoll.application.loading import ApplicationFile
from plimsoll.application.parts import Part
from plimsoll.application.scalars import Memory

Level = Literal["none", "process", "strict"]
STRICT: Level = "strict"
PATH = Annotated[str, Meta(min_length=1, pattern=r"^[^\x00]+$", description="a path, `~` for the home directory")]


class Isolation(Part, frozen=True, kw_only=True):
    """How far a step is kept apart. Of the level `strict`, the rest says what is let in."""

    level: Annotated[
        Level,
        Meta(
            description="none: as plimsoll itself; process: neither other processes nor keys; "
            "strict: nothing but its inputs, and no network"
        ),
    ] = STRICT
    network: Annotated[bool, Meta(description="whether it reaches the network; a gang has its own between workers")] = (
        False
    )
    reads: Annotated[tuple[PATH, ...], Meta(description="more paths of the machine that it may read")] = ()
    writes: Annotated[tuple[PATH, ...], Meta(description="paths of the machine that it may write")] = ()
    variables: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="the name of a variable")], ...],
        Meta(description="variables of your environment that it gets beside those of programs"),
    ] = ()
    processes: Annotated[
        int, Meta(ge=8, le=4_000_000, description="processes and threads of the step at once, of all workers")
    ] = 4096
    temporary: Annotated[Memory, Meta(description="bytes of its private /tmp, and of /dev/shm")] = "1Gi"
    runtime_class: (
        Annotated[
            str,
            Meta(
                pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$",
                description="the RuntimeClass of its pods on a cluster",
                examples=["gvisor"],
            ),
        ]
        | None
    ) = None


Isolated = Annotated[
    Level | Isolation | None,
    Meta(description="how far it is kept apart from the machine; left out, as `process` where the machine can"),
]
"""The type of `isolation` in a part."""


def settled(asked: Level | Isolation | None) -> Isolation | None:
    """What a part asks for; None where it says nothing."""
    return Isolation(level=asked) if isinstance(asked, str) else asked


def check_isolation(file: ApplicationFile, asked: Level | Isolation | None, *at: str | int) -> None:
    """Raise FileError for what a level has no use for: it would read as if it were kept."""
    if not isinstance(asked, Isolation) or asked.level == STRICT:
        return
    given = {
        "network": asked.network,
        "writes": asked.writes,
        "variables": asked.variables,
        "reads": asked.reads and asked.level == "none",
        "runtimeClass": asked.runtime_class,
        "processes": asked.processes != Isolation().processes,
        "temporary": asked.temporary != Isolation().temporary,
    }
    for word, is_given in given.items():
        if is_given:
            text = f"`{word}` is for `level: strict`; with `level: {asked.level}` nothing keeps that from the step"
            raise file.error(text, f"write level: strict, or remove `{word}`", *at, "isolation", word, at_key=True)
