"""Pages of logs by bytes, and curves as they grow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plimsoll.errors import PlimsollError
from plimsoll.ui import curves as curves_of_the_page
from plimsoll.ui import log_pages
from plimsoll.ui.curves import POINTS, CurveFile, Curves
from plimsoll.ui.log_pages import find_text, page_before, page_from

SMALL = 64
LINES = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=150), max_size=20)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(lines=LINES, ends=st.booleans())
def test_pages_together_are_the_log_from_both_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str], ends: bool
) -> None:
    monkeypatch.setattr(log_pages, "PAGE", SMALL)
    content = ("\n".join(lines) + ("\n" if ends and lines else "")).encode()
    path = tmp_path / "log"
    path.write_bytes(content)
    forward, at = "", 0
    while (page := page_from(path, at)).end > at:
        forward, at = forward + page.text, page.end
        assert len(page.text.encode()) <= SMALL
    backward, at = "", page_before(path, None).end
    while (page := page_before(path, at)).begin < at:
        backward, at = page.text + backward, page.begin
    assert forward == backward == content.decode()
    assert page.size == len(content)


def test_bytes_that_are_no_text_are_shown_and_end_no_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_pages, "PAGE", SMALL)
    path = tmp_path / "log"
    path.write_bytes(b"\xff\xc3\x80\n" * 40 + b"\xbf" * 200)
    at, count = 0, 0
    while (page := page_from(path, at)).end > at:
        at, count = page.end, count + 1
    assert at == path.stat().st_size
    assert count < 20
    at = path.stat().st_size
    while (page := page_before(path, at)).begin < at:
        at = page.begin
    assert at == 0


def test_a_page_of_a_large_log_begins_with_a_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("".join(f"line {n}\n" for n in range(100_000)))
    last = page_before(path, None)
    assert last.text.startswith("line ")
    assert last.text.endswith("line 99999\n")
    assert page_before(path, last.begin).end == last.begin


def test_text_is_found_in_the_line_that_has_it_and_from_there_on(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("".join(f"line {n} {'ERROR' if n % 40_000 == 39_999 else 'fine'}\n" for n in range(100_000)))
    first = find_text(path, "error", 0)
    assert first is not None
    assert page_from(path, first).text.startswith("line 39999 ERROR\n")
    second = find_text(path, "Error", first + 1)
    assert second is not None
    # The rest of the first line still has it.
    third = find_text(path, "error", first + len("line 39999 ERROR\n"))
    assert third is not None
    assert page_from(path, third).text.startswith("line 79999 ERROR\n")
    assert find_text(path, "absent", 0) is None


def test_a_log_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(PlimsollError, match="the log cannot be read"):
        page_before(tmp_path / "log", None)


def test_a_curve_grows_and_joins_the_points_of_attempts_by_step(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    curve = CurveFile(path)
    curve.update()
    assert curve.series == {}
    with path.open("a") as file:
        for step, loss in ((1, 5.0), (2, 4.0), (3, 3.0)):
            file.write(json.dumps({"step": step, "loss": loss}) + "\n")
        file.write('{"step": 4, "lo')
    curve.update()
    assert curve.series["loss"].shown() == [(1, 5.0), (2, 4.0), (3, 3.0)]
    with path.open("a") as file:
        file.write('ss": 2.5}\n{"step": 2, "loss": 4.5}\n{"step": 3, "loss": NaN}\nnothing\n{"step": 3, "loss": 3.5}\n')
    curve.update()
    assert curve.series["loss"].shown() == [(1, 5.0), (2, 4.5), (3, 3.5)]


def test_a_long_curve_keeps_its_shape_its_ends_and_few_points(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps({"step": n, "loss": float(n)}) + "\n" for n in range(20_000)))
    curve = CurveFile(path)
    curve.update()
    points = curve.series["loss"].shown()
    assert POINTS // 2 < len(points) <= 2 * POINTS + 1
    assert points[-1] == (19_999.0, 19_999.0)
    assert points == sorted(points)


def test_a_file_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss": 1}\n{"step": 2, "loss": 2}\n')
    curve = CurveFile(path)
    curve.update()
    path.unlink()
    path.write_text('{"step": 1, "loss": 9}\n')
    curve.update()
    assert curve.series["loss"].shown() == [(1.0, 9.0)]


def test_a_training_with_more_figures_than_anybody_looks_at_stays_small(tmp_path: Path) -> None:
    earlier, present = tmp_path / "earlier.jsonl", tmp_path / "metrics.jsonl"
    names = [f"layer {n}" for n in range(5000)]
    earlier.write_text("".join(json.dumps({"step": n, "loss": 9.0}) + "\n" for n in range(4)))
    rows = ({"step": n, "eval_loss": 1.0, **dict.fromkeys(names, float(n))} for n in range(2, 12))
    present.write_text("".join(json.dumps(row) + "\n" for row in rows))
    curves = Curves()
    first = curves.of(earlier, present, limit=24)
    while first.unread:
        first = curves.of(earlier, present, limit=24)
    assert (len(first.charts), first.total, first.left_out) == (24, 5001, 0)
    (found,) = curves.of(earlier, present, text="LAYER 4321").charts
    assert found.series == [("layer 4321", [(float(n), float(n)) for n in range(2, 12)])]
    (loss,) = curves.of(earlier, present, text="loss").charts
    assert dict(loss.series) == {"loss": [(0.0, 9.0), (1.0, 9.0)], "eval_loss": [(float(n), 1.0) for n in range(2, 12)]}


def test_the_points_of_a_file_are_bounded_however_many_series_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curves_of_the_page, "MOST_POINTS", 10_000)
    monkeypatch.setattr(curves_of_the_page, "SERIES", 100)
    path = tmp_path / "metrics.jsonl"
    rows = ({"step": n, **{f"m{each}": float(n) for each in range(120)}} for n in range(1000))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    curve = CurveFile(path)
    curve.update(seconds=60)
    assert len(curve.series) == 100
    assert len(curve.left_out) == 20
    kept = [series.shown() for series in curve.series.values()]
    assert sum(map(len, kept)) <= 10_000 + 100
    assert all(points[0][0] < 20 and points[-1] == (999.0, 999.0) for points in kept)


def test_a_long_file_is_read_in_several_moments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curves_of_the_page, "CHUNK", 100)
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps({"step": n, "loss": float(n)}) + "\n" for n in range(100)))
    curve, looks = CurveFile(path), 0
    curve.update(seconds=0)
    while curve.unread:
        curve.update(seconds=0)
        looks += 1
    assert looks > 10
    assert curve.series["loss"].shown() == [(float(n), float(n)) for n in range(100)]
