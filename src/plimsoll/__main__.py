"""`python -m plimsoll` is `plimsoll`."""

from plimsoll.cli.main import main

main()
