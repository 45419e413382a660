"""Changes of an index after it was built: what is in the journal, and that it answers like an index built anew."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plimsoll.errors import PlimsollError
from plimsoll.indexes.changes import Change, Journal, changes_in
from plimsoll.indexes.reading import SearchIndex, open_registered
from tests.indexes.building import build_registered, document

WORDS = ("pump", "leak", "oil", "invoice", "cat")
TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(" ".join)
NAMES = st.sampled_from(("a", "b", "c", "d"))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.dictionaries(NAMES, TEXTS, min_size=1),
    st.lists(st.tuples(NAMES, st.none() | TEXTS), max_size=6),
    TEXTS,
    st.sampled_from([None, ("red",)]),
)
def test_a_changed_index_ranks_words_as_one_that_was_built_of_what_is_there_now(
    tmp_path_factory: pytest.TempPathFactory,
    before: dict[str, str],
    changes: list[tuple[str, str | None]],
    question: str,
    labels: tuple[str, ...] | None,
) -> None:
    place = tmp_path_factory.mktemp("changed")
    index = build_registered(
        place / "1", [document(name, text, *_labels(name)) for name, text in before.items()], "lexical"
    )
    changed = SearchIndex(index.parent, changes=place / "changes.jsonl")
    other = SearchIndex(index.parent, changes=place / "changes.jsonl")
    assert changed.changing is not None
    now = dict(before)
    for name, text in changes:
        if text is None:
            changed.changing.delete([name])
            now.pop(name, None)
        else:
            changed.changing.put([document(name, text, *_labels(name))])
            now[name] = text
        other.search(question, 9, labels)
    found = [sorted((hit.id, hit.score) for hit in each.search(question, 9, labels)) for each in (changed, other)]
    if now:
        whole = build_registered(
            place / "2", [document(name, text, *_labels(name)) for name, text in now.items()], "lexical"
        )
        expected = sorted((hit.id, hit.score) for hit in SearchIndex(whole.parent).search(question, 9, labels))
    else:
        expected = []
    for each in found:
        assert [name for name, _ in each] == [name for name, _ in expected]
        assert [score for _, score in each] == pytest.approx([score for _, score in expected], abs=1e-5)


def _labels(name: str) -> tuple[str, ...]:
    return {"b": ("red",), "c": ("blue",)}.get(name, ())


def test_many_hidden_neighbours_do_not_hide_what_is_farther(tmp_path: Path) -> None:
    near = [document(f"near-{number}", "oil leak") for number in range(300)]
    index = build_registered(tmp_path / "1", [*near, document("far", "oil invoice")])
    changed = open_registered(index.parent, 1, tmp_path / "changes.jsonl")
    assert changed.changing is not None
    changed.changing.delete([each.id for each in near])
    assert [hit.id for hit in changed.search("oil leak", 3)] == ["far"]


def test_changes_of_another_embedding_model_are_embedded_by_that_of_the_index(tmp_path: Path) -> None:
    index = build_registered(tmp_path / "1", [document("cat", "A cat.")])
    journal = tmp_path / "changes.jsonl"
    first = open_registered(index.parent, 1, journal)
    assert first.changing is not None
    first.changing.put([document("bill", "The invoice is overdue.")])
    [change] = changes_in(journal).values()
    journal.unlink()
    Journal(journal).add([_of_another_model(change)])
    assert open_registered(index.parent, 1, journal).search("payment", 1)[0].id == "bill"


def _of_another_model(change: Change) -> Change:
    from msgspec.structs import replace

    wrong = tuple(replace(chunk, vector=b"\0\0\0\0" * 3) for chunk in change.chunks)
    return replace(change, chunks=wrong, embedder="sha256:other")


def test_a_line_that_a_killed_writer_left_half_is_cut_off_and_nothing_before_it_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "changes.jsonl"
    Journal(path).add([Change(id="a", text="x" * 200_000)])
    whole = path.read_bytes()
    for left in (b'{"id":"b"', b'{"id":"b","text":"' + b"y" * 200_000):
        path.write_bytes(whole + left)
        reader = Journal(path)
        assert [each.id for each in reader.news()[0]] == ["a"]
        Journal(path).add([Change(id="c")])
        assert [each.id for each in reader.news()[0]] == ["c"]
        assert list(changes_in(path)) == ["a", "c"]


def test_who_reads_a_journal_that_was_written_anew_twice_in_between_misses_nothing(tmp_path: Path) -> None:
    """File systems give the number of a file that is gone to the next one."""
    path = tmp_path / "changes.jsonl"
    reader = Journal(path)
    for turn in range(20):
        Journal(path).add([Change(id=f"{turn}-{name}", text="x" * (50 + turn)) for name in "abc"])
        reader.news()
        for name in "abc":
            Journal(path).add([Change(id=f"{turn}-{name}", deleted=True)])
        news, anew = reader.news()
        assert anew
        assert {change.id: change for change in news} == changes_in(path)
    path.unlink()
    assert reader.news() == ([], True)
    assert reader.news() == ([], False)


def test_a_long_journal_has_each_document_once_and_those_who_read_it_miss_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plimsoll.indexes.changes.TIDIED_AT", 20_000)
    path = tmp_path / "changes.jsonl"
    journal, reader = Journal(path), Journal(path)
    seen: dict[str, str] = {}
    for number in range(300):
        journal.add([Change(id=f"d{number % 7}", text=f"{number} " + "x" * 500)])
        news, anew = reader.news()
        seen = {} if anew else seen
        seen |= {change.id: change.text for change in news}
        assert seen == {name: change.text for name, change in changes_in(path).items()}
    assert path.stat().st_size < 25_000


def test_a_journal_that_was_altered_is_an_error_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "changes.jsonl"
    Journal(path).add([Change(id="a"), Change(id="b")])
    path.write_bytes(path.read_bytes().replace(b'"b"', b"b"))
    with pytest.raises(PlimsollError, match="cannot be read") as raised:
        Journal(path).news()
    assert raised.value.where == f"{path}:2"


@pytest.mark.slow
def test_a_writer_that_is_killed_at_any_moment_loses_nothing_that_it_has_told_of(tmp_path: Path) -> None:
    path = tmp_path / "changes.jsonl"
    script = """if True:
        import sys
        from pathlib import Path
        from plimsoll.indexes.changes import Change, Journal
        journal = Journal(Path(sys.argv[1]))
        for number in range(10**6):
            journal.add([Change(id=f"{sys.argv[2]}-{number}", text="x" * 3000)])
            print(f"{sys.argv[2]}-{number}", flush=True)
    """
    told: list[str] = []
    for turn in range(3):
        writers = [
            subprocess.Popen(
                [sys.executable, "-c", script, str(path), f"{turn}{name}"], stdout=subprocess.PIPE, text=True
            )
            for name in "ab"
        ]
        for writer in writers:
            assert writer.stdout is not None
            told += [writer.stdout.readline().strip() for _ in range(20)]
        for writer in writers:
            writer.kill()
            assert writer.stdout is not None
            told += writer.stdout.read().split("\n")[:-1]
            writer.stdout.close()
            writer.wait()
    assert set(told) <= set(changes_in(path))
