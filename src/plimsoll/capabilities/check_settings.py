"""The settings of one running check, shared by its probes, and the errors that end a probe early."""

from __future__ import annotations

import threading
import time

import msgspec
from msgspec import Struct

from plimsoll.errors import PlimsollError

SHELL_IMAGE = "registry.k8s.io/e2e-test-images/agnhost:2.59"


class OutOfTime(Exception):
    """The check reached its time limit, or its user interrupted it."""


class Obstructed(PlimsollError):
    """Something other than the capability is in the way; the hint says what to do about it."""


class CheckSettings(Struct, frozen=True, kw_only=True):
    """The settings of a check.

    `run` labels everything that the check creates, `images` is a registry in place of registry.k8s.io, and `deadline`
    a monotonic time in seconds. `patience` multiplies the limit of every wait: a slow cluster gets more time.
    """

    run: str
    images: str = ""
    deadline: float = float("inf")
    patience: float = 1.0
    stopped: threading.Event = msgspec.field(default_factory=threading.Event)

    def stop(self) -> None:
        """Make every probe break off at its next look."""
        self.stopped.set()

    def check_time(self, what: str) -> None:
        """Raises OutOfTime when the check has to end; `what` names the thing that is waited for."""
        if self.stopped.is_set():
            raise OutOfTime("the check was interrupted")
        if time.monotonic() > self.deadline:
            raise OutOfTime(f"the check reached its time limit while it waited for {what}")

    def image(self, name: str = SHELL_IMAGE) -> str:
        """The name of an image under the user's registry."""
        if not self.images:
            return name
        return f"{self.images.rstrip('/')}/{name.partition('/')[2]}"
