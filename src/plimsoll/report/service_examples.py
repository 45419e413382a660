"""Requests that the services of a run have answered, as examples for whoever wants to ask them. Pure."""

from __future__ import annotations

import shlex
import urllib.parse
from collections.abc import Iterator

from msgspec import Struct

from plimsoll.engine.history import RunHistory
from plimsoll.kinds.serve import ServeResult


class ServiceExample(Struct, frozen=True, kw_only=True):
    """A service, and a command that asks it. `address` is where it is, or was, while the run goes on."""

    service: str
    address: str
    command: str


def service_examples(run: RunHistory) -> Iterator[ServiceExample]:
    """An example for each service that was tested with a request that is short enough to be read."""
    for step in run.steps:
        result = step.result
        if step.state == "done" and isinstance(result, ServeResult) and result.example:
            model = urllib.parse.quote(result.model.partition("@")[0], safe="")
            address = result.url or "$ADDRESS"
            path = result.path or f"/v2/models/{model}/infer"
            command = f"curl {address}{path} -d {shlex.quote(result.example)}"
            yield ServiceExample(service=step.part, address=address, command=command)
