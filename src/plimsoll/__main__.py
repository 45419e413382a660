"""`python -m plimsoll` is `plimsoll`."""

from plimsoll.cli.start import main

main()
