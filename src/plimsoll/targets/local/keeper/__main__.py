"""`python -m plimsoll.targets.local.keeper DIRECTORY`: keep the wanted services of an application up until SIGTERM."""

from __future__ import annotations

import sys
from pathlib import Path

from plimsoll.targets.local.keeper.process import Keeper

if __name__ == "__main__":
    sys.exit(Keeper(Path(sys.argv[1])).run())
