"""`python -m lab link`: slows, cuts and mends the lab's link to the programs that use it."""

from __future__ import annotations

import click

from lab import lifecycle
from lab.errors import LabError
from lab.network import link as network


@click.group()
def link() -> None:
    """Slow, cut and mend the way to the API server, as between a site and its cluster."""


@link.command()
@click.option("--delay", metavar="100ms", help="Of each direction.")
@click.option("--rate", metavar="2Mbit", help="Of each direction, all connections together.")
def slow(delay: str | None, rate: str | None) -> None:
    """Delay and throttle what passes."""
    lifecycle.require_running()
    if delay is None and rate is None:
        raise LabError("link slow needs --delay, --rate or both, such as --delay 100ms --rate 2Mbit")
    network.set_link(delay=network.read_delay(delay) if delay else 0.0, rate=network.read_rate(rate) if rate else 0.0)


@link.command()
def cut() -> None:
    """Let nothing pass. Connections stay open and are silent; the cluster goes on by itself."""
    lifecycle.require_running()
    network.set_link(cut=True)


@link.command()
def mend() -> None:
    """End a cut, a delay and a throttle."""
    lifecycle.require_running()
    network.SETTINGS.unlink(missing_ok=True)
