"""`python -m plimsoll.vault` is the process that holds a vault open."""

from plimsoll.vault.sealer import main

main()
