"""Tables of text in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

import click


def print_rows(rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows with their columns aligned; all rows have as many cells as the first."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(f"{cell:<{size}}" for cell, size in zip(row, widths, strict=True)).rstrip())


def number(value: float | None, *, sign: bool = False) -> str:
    """A number as a cell; a dash for none."""
    if value is None:
        return "–"
    return f"{value:+.4g}" if sign else f"{value:.6g}"


def amount(size: float) -> str:
    """A number of bytes."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError


def value_text(value: object) -> str:
    """The value of a parameter as `--set` takes it; a dash for none."""
    if value is None:
        return "–"
    return str(value).lower() if isinstance(value, bool) else str(value)
