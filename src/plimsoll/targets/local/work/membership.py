"""The attack of membership inference that is tried on a model before it is registered."""

from __future__ import annotations

import sys
from collections.abc import Generator, Mapping
from pathlib import Path

import msgspec

from plimsoll.decoding import UNREADABLE
from plimsoll.errors import PlimsollError
from plimsoll.evidence.observation import Observation
from plimsoll.kinds.register import Register
from plimsoll.screens.attack import Membership
from plimsoll.targets.local.attempt import LocalAttempt
from plimsoll.targets.local.commands import base_environment, input_path
from plimsoll.targets.local.workers import Command, run_together

LIMIT = 600.0
"""Seconds for the attack."""
FOUND = "membership.json"
MODEL = "model.onnx"


def membership(
    attempt: LocalAttempt[Register], files: Mapping[str, Path]
) -> Generator[Observation, None, tuple[Membership | None, str]]:
    """What the attack comes to, or why it could not be tried; nothing where the file asks for none.

    It fails no registration: a bound on a figure that is not there refuses the version.
    """
    test, state = attempt.work.membership, attempt.context.state
    if test is None:
        return None, ""
    written = attempt.directory / FOUND
    try:
        if MODEL not in files:
            return None, f"membership inference: only {MODEL} is attacked, and the training wrote none"
        argv = [sys.executable, "-m", "plimsoll.screens.membership", "--model", str(files[MODEL])]
        argv += ["--members", str(input_path(test.members, state)), "--others", str(input_path(test.others, state))]
        argv += ["--label", test.label, "--output", str(written)]
        command = Command(
            argv=argv,
            environment={**base_environment(None), "PLIMSOLL_OUTPUT": str(attempt.output)},
            resources=attempt.step.resources,
        )
        if reason := (yield from run_together(attempt, [command], LIMIT)):
            return None, f"membership inference: {reason}"
        return msgspec.json.decode(written.read_bytes(), type=Membership), ""
    except (PlimsollError, OSError, *UNREADABLE) as error:
        return None, f"membership inference: {error}"
    finally:
        written.unlink(missing_ok=True)
