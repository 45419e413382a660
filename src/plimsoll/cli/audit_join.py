"""Calls of services beside what happened on a cluster, for `plimsoll audit query` and `export`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plimsoll.cli.terminal import one_line
from plimsoll.errors import PlimsollError

if TYPE_CHECKING:
    from plimsoll.audit.kubernetes import Joined
    from plimsoll.audit.query import Call, Query

MOST_CALLS = 500_000
"""Calls that are held at once, to be joined."""


class Kept:
    """The calls of a query, kept while they are printed where a log of a cluster is to be joined with them."""

    def __init__(self, clusters: Sequence[Path], within: float, query: Query) -> None:
        self._clusters = clusters
        self._within = timedelta(seconds=within)
        self._query = query
        self._calls: list[Call] = []

    def noting(self, calls: Iterable[Call]) -> Iterator[Call]:
        """The same calls. Raises PlimsollError for more than are held at once."""
        for call in calls:
            if self._clusters:
                if len(self._calls) == MOST_CALLS:
                    hint = "ask for less: --since, --until, --caller"
                    raise PlimsollError(
                        f"more than {MOST_CALLS} calls cannot be joined with a cluster's log", hint=hint
                    )
                self._calls.append(call)
            yield call

    def joined(self) -> Joined | None:
        """The events of the cluster; None where no log of one was named. Raises PlimsollError."""
        if not self._clusters:
            return None
        from plimsoll.audit.files import lines_of
        from plimsoll.audit.kubernetes import joined_with

        return joined_with(lines_of(self._clusters), self._calls, self._query, self._within)


def print_events(joined: Joined) -> None:
    """Print events of a cluster, a line each, and how many there are besides."""
    for event in joined.events:
        run = f"run {event.run}" if event.run else ""
        part = event.service or event.application
        calls = f"with {', '.join(event.calls)}" if event.calls else ""
        told = (
            event.at.isoformat(),
            "kubernetes",
            event.user or "-",
            event.verb,
            event.object,
            event.code,
            part,
            run,
            calls,
        )
        click.echo(one_line("  ".join(str(each) for each in told if each != "")))
    if joined.others:
        click.echo(f"{joined.others} other events of the cluster are about nothing of Plimsoll's", err=True)
    if joined.unreadable:
        click.echo(f"{joined.unreadable} lines are no events of audit.k8s.io/v1", err=True)
