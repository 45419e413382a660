"""A layout on disk that several make at the same moment."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from plimsoll.registry.layout import Descriptor, Layout

ENTRY = Descriptor(media_type="application/x", digest="sha256:" + "0" * 64, size=1)


def test_who_makes_a_layout_beside_another_forgets_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second has seen no layout either, and comes to write when the first has added something already."""
    first, second = Layout(tmp_path / "registry"), Layout(tmp_path / "registry")
    seen, go = threading.Event(), threading.Event()
    write = Layout.write_entries

    def late(self: Layout, entries: list[Descriptor]) -> None:
        if self is second and not entries:
            seen.set()
            go.wait(10)
        write(self, entries)

    monkeypatch.setattr(Layout, "write_entries", late)
    making = threading.Thread(target=second.create)
    making.start()
    seen.wait(10)
    adding = threading.Thread(target=lambda: _add(first))
    adding.start()
    adding.join(0.5)
    go.set()
    making.join(20)
    adding.join(20)
    assert [each.digest for each in first.entries()] == [ENTRY.digest]


def _add(kept: Layout) -> None:
    with kept.locked():
        kept.write_entries([*kept.entries(), ENTRY])


def test_a_layout_is_made_once(tmp_path: Path) -> None:
    kept = Layout(tmp_path / "registry")
    _add(kept)
    kept.create()
    assert len(kept.entries()) == 1
