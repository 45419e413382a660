"""Findings of policies for the terminal: what stops first, each with its place and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from plimsoll.cli.terminal import one_line

if TYPE_CHECKING:
    from plimsoll.policy.findings import Judged


def print_policies(found: Sequence[Judged]) -> None:
    """Print findings in a plan."""
    from plimsoll.policy.findings import stopping

    for each in found:
        print_finding(each)
    if stopping(found):
        click.echo("a run would be refused: what is broken or not known stops it")


def print_finding(each: Judged) -> None:
    """Print one finding: its verdict and what it is about, and below it the place and what to do."""
    click.echo(f"  {each.verdict:<8} {one_line(each.line())}")
    if each.verdict in ("passed", "later"):
        return
    for text in (f"at {each.where}" if each.where else "", each.remedy):
        if text:
            click.echo(f"           {one_line(text)}")
