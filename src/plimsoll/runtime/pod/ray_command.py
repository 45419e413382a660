"""`python -m plimsoll.runtime.pod.ray_command`: run the pod's task as the job that KubeRay submits to the Ray head.

Its output goes to Ray's job log and to the log of the pod.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

_POD_LOG = Path("/proc/1/fd/1")
"""The standard output of the container's first process."""
_PIECE = 1 << 16


def main() -> None:
    """Run the task and exit with its status."""
    command = [sys.executable, "-m", "plimsoll.runtime.pod"]
    with contextlib.ExitStack() as stack:
        outputs = [sys.stdout.buffer]
        # Some container runtimes allow this only to root. Ray's log has the output in any case.
        with contextlib.suppress(OSError):
            outputs.append(stack.enter_context(_POD_LOG.open("wb")))
        process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
        assert process.stdout is not None  # noqa: S101 - stdout is a pipe
        while piece := process.stdout.read1(_PIECE):  # type: ignore[attr-defined]
            for output in outputs:
                output.write(piece)
                output.flush()
    sys.exit(process.returncode if process.returncode >= 0 else 128 - process.returncode)


if __name__ == "__main__":
    main()
