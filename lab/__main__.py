"""`python -m lab`."""

import sys

if not sys.platform.startswith("linux"):
    sys.exit(
        f"lab: the lab needs Linux: network namespaces, cgroups and containers are its own; this is {sys.platform}"
    )
try:
    from lab.cli.main import main
except ModuleNotFoundError as missing:
    if (missing.name or "").partition(".")[0] == "lab":
        raise
    sys.exit(f"lab: there is no package '{missing.name}' in {sys.prefix}; 'sh scripts/setup test' makes .venv with it")

main()
