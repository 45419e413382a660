"""Limits this process and becomes another: OUTPUT SECONDS COMMAND…. It has the standard library alone."""

from __future__ import annotations

import os
import resource
import sys


def main() -> None:
    """Set the limits, then run the command in this process."""
    output, seconds = (int(word) for word in sys.argv[1:3])
    for kind, limit in (
        (resource.RLIMIT_FSIZE, output),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        wanted = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (wanted, wanted))
    os.execvp(sys.argv[3], sys.argv[3:])  # noqa: S606 - this is what it is for


if __name__ == "__main__":
    main()
