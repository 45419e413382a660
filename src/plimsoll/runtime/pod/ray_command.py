"""`python -m plimsoll.runtime.pod.ray_command`: does the errand of a head of Ray, as the job that KubeRay hands in.

What it prints is Ray's own log of the job, and the log of the pod as well.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

_OF_POD = Path("/proc/1/fd/1")
"""What the container's own process prints to."""
_PIECE = 1 << 16


def main() -> None:
    """Ends with the status of the errand."""
    command = [sys.executable, "-m", "plimsoll.runtime.pod"]
    with contextlib.ExitStack() as stack:
        outputs = [sys.stdout.buffer]
        # Some runtimes let only root have it; Ray's log remains.
        with contextlib.suppress(OSError):
            outputs.append(stack.enter_context(_OF_POD.open("wb")))
        process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
        assert process.stdout is not None  # noqa: S101 - it was asked for
        while piece := process.stdout.read1(_PIECE):  # type: ignore[attr-defined]
            for output in outputs:
                output.write(piece)
                output.flush()
    sys.exit(process.returncode if process.returncode >= 0 else 128 - process.returncode)


if __name__ == "__main__":
    main()
