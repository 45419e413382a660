"""Asks a command that stands before a KMS to wrap or to unwrap a data key."""

from __future__ import annotations

import base64
import binascii
import subprocess
from collections.abc import Sequence

from plimsoll.vault.problems import KeyProblem
from plimsoll.waits import waiting_for

LIMIT = 60.0
"""Seconds that the command has: a KMS may ask a person."""
MOST = 1 << 16
"""Bytes that it may print."""


def ask(command: Sequence[str], act: str, content: bytes) -> bytes:
    """What the command prints for a content, both in base64. Raises KeyProblem."""
    told = " ".join([*command, act])
    try:
        with waiting_for(f"the key command {command[0]} to {act}"):
            done = subprocess.run(
                [*command, act],
                input=base64.b64encode(content) + b"\n",
                capture_output=True,
                timeout=LIMIT,
                check=False,
            )
    except OSError as error:
        raise KeyProblem(f"the key command cannot be started: {error.strerror}", where=told) from error
    except subprocess.TimeoutExpired as error:
        raise KeyProblem(f"the key command has not ended within {LIMIT:g} s", where=told) from error
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        message = f"the key command ended with exit status {done.returncode}: {lines[-1][:300]}"
        raise KeyProblem(message, where=told, hint="try it by hand: it reads base64 and prints base64")
    try:
        # What is cut is no base64 of a whole answer.
        answer = base64.b64decode(done.stdout[:MOST].strip(), validate=True)
    except binascii.Error as error:
        message = f"the key command printed something else than base64 ({len(done.stdout)} bytes)"
        raise KeyProblem(message, where=told, hint="what it says besides belongs on stderr") from error
    if not answer:
        raise KeyProblem("the key command printed nothing", where=told)
    return answer
