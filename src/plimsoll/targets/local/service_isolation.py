"""The sandbox of a service's own code on this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from plimsoll.kinds.serve import Serve
from plimsoll.planning.steps import Step
from plimsoll.runtime.isolation.bubblewrap import sandboxing
from plimsoll.runtime.isolation.view import arguments
from plimsoll.runtime.server.service_file import Sandboxed
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.local.levels import settled_here
from plimsoll.targets.local.seen import Seen, view_of


def service_sandbox(
    step: Step[Serve], state: StateDirectory, directory: Path, variables: Mapping[str, str]
) -> Sandboxed | None:
    """The sandbox of the code's processes, each of its own; None where the code runs as the server itself.

    They see the registry: which of its models a service has changes while it is up.
    """
    asked = settled_here(step.isolation)
    if asked.level == "none":
        return None
    code = [Path(directory, each.name) for each in step.ingredients if each.kind == "code"]
    seen = Seen(
        directory=directory.absolute(),
        state=state,
        own=[],
        inputs=[state.registry, *code],
        search=variables.get("PATH", os.defpath),
    )
    view = view_of(seen, asked)
    return Sandboxed(
        argv=(sandboxing().program, *arguments(view)),
        strict=not view.whole,
        network=view.network,
        variables=asked.variables,
    )
