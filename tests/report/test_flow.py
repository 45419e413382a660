"""The flow: where boxes stand and lines run, and how names are broken."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.report.flow import flow
from plimsoll.report.flow_layout import Place, flow_layout, lanes
from plimsoll.report.text_width import text_width, wrapped

from .runs import WIDEST, fan_out, run_of


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    """Steps that need some of those before them."""
    names = [f"run/s{number}" for number in range(draw(st.integers(1, 14)))]
    return {
        name: sorted(draw(st.sets(st.sampled_from(names[:place])))) if place else [] for place, name in enumerate(names)
    }


@settings(deadline=None, max_examples=25)
@given(graph=graphs())
def test_every_need_is_a_chain_of_links_from_column_to_column(graph: dict[str, list[str]]) -> None:
    run = run_of(graph)
    layout = flow_layout(run, dict.fromkeys(graph, 40.0))
    for begin, start, end in layout.links:
        assert start in layout.columns[begin]
        assert end in layout.columns[begin + 1]
        assert start.step == end.step or not end.passes
    reached = {(end.step, start.step) for _, start, end in layout.links if not end.passes}
    assert reached == {(name, needed) for name, needs in graph.items() for needed in needs}


@settings(deadline=None, max_examples=25)
@given(graph=graphs())
def test_nothing_in_a_column_is_over_anything_else(graph: dict[str, list[str]]) -> None:
    layout = flow_layout(run_of(graph), dict.fromkeys(graph, 40.0))
    for column in layout.columns:
        below = -1.0
        for place, top in sorted(column.items(), key=lambda item: item[1]):
            assert top > below
            below = top + (8 if place.passes else 40)
        assert below <= layout.height


@settings(deadline=None, max_examples=25)
@given(graph=graphs())
def test_no_two_lines_share_a_lane_at_the_same_height(graph: dict[str, list[str]]) -> None:
    run = run_of(graph)
    row = {step.name: place for place, step in enumerate(run.steps)}
    taken: set[tuple[int, int]] = set()
    for each in lanes(run):
        rows = range(row[each.step], max(row[name] for name in each.targets))
        pieces = {(each.lane, place) for place in rows}
        assert not pieces & taken
        taken |= pieces


def test_a_source_that_many_need_later_passes_a_column_once() -> None:
    layout = flow_layout(run_of(fan_out()), dict.fromkeys(fan_out(), 40.0))
    assert [Place("fetch/orders", passes=True) in column for column in layout.columns] == [
        False,
        True,
        True,
        True,
        False,
    ]


def test_a_flow_with_too_many_columns_for_a_page_is_drawn_downwards_only() -> None:
    steps = {f"run/s{n}": [f"run/s{n - 1}"] if n else [] for n in range(12)}
    drawn = flow(run_of(steps))
    assert drawn.wide == ""
    assert drawn.tall.count("<rect") == 12


@given(text=st.text(max_size=80), width=st.floats(60, 300))
def test_lines_of_a_name_are_never_wider_than_their_box(text: str, width: float) -> None:
    lines = wrapped(text, width, 13, 4)
    assert len(lines) <= 4
    assert all(text_width(line, 13) <= width for line in lines)


def test_the_longest_name_of_a_file_is_shown_whole_in_the_narrowest_box() -> None:
    lines = wrapped(f"✓ {WIDEST}", 104, 13, 10)
    assert "".join(lines).replace(" ", "") == f"✓{WIDEST}"
    assert wrapped("train-the-model-of-orders", 104, 13, 7)[0].endswith("-")
