"""`python -m lab`."""

import sys

if not sys.platform.startswith("linux"):
    sys.exit(f"lab: the lab needs Linux for network namespaces, cgroups and containers; this system is {sys.platform}")
try:
    from lab.cli.main import main
except ModuleNotFoundError as missing:
    if (missing.name or "").partition(".")[0] == "lab":
        raise
    sys.exit(f"lab: {sys.prefix} has no package '{missing.name}'; 'sh scripts/setup test' makes a .venv that has it")

main()
