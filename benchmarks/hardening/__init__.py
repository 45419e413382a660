"""Attacks on everything that takes bytes from others: fuzzing, hostile connections, costly requests.

`python -m benchmarks hardening --minutes 60` takes an hour, by default it takes three minutes. Everything stays on
127.0.0.1. Inputs that reproduce a finding are files in `--output`; a process that ends or hangs does not end the rest.
"""

from __future__ import annotations


def main(argv: list[str]) -> bool:
    """True when all limits are kept."""
    # The package's own processes import it too, and need little of it.
    from benchmarks.hardening.command import main as attack

    return attack(argv)
