"""Chunks cover a document, fit their size, and follow its structure."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from plimsoll.indexes.chunking import chunks
from plimsoll.indexes.documents import Document
from plimsoll.indexes.parsing import markdown, text
from plimsoll.indexes.words import words

MARKDOWN = """\
# Pumps

Pumps move oil. They make noise when a bearing is worn.

## Leaks

| part | cause |
|------|-------|
| seal | age   |
| hose | heat  |

Change the seal. Then test it.
"""


def count(texts: Sequence[str]) -> list[int]:
    return [len(words(each)) for each in texts]


def document(content: str, kind: str = "md") -> Document:
    read, blocks = (markdown if kind == "md" else text).parse(content.encode())
    return Document(id="a", source="a", text=read, blocks=blocks)


def test_a_chunk_lies_below_one_heading_and_knows_the_path_to_it() -> None:
    found = list(chunks(document(MARKDOWN), count, most=100, overlap=0))
    assert [each.heading for each in found] == ["Pumps", "Pumps › Leaks"]
    assert MARKDOWN[found[0].start : found[0].end] == "Pumps move oil. They make noise when a bearing is worn."
    assert MARKDOWN[found[1].start : found[1].end].startswith("| part")


def test_a_table_stays_whole_where_there_is_room_and_is_cut_between_rows_where_there_is_none() -> None:
    whole = [MARKDOWN[each.start : each.end] for each in chunks(document(MARKDOWN), count, most=16, overlap=0)]
    assert any("| part" in each and "| hose | heat  |" in each for each in whole)
    cut = [MARKDOWN[each.start : each.end] for each in chunks(document(MARKDOWN), count, most=3, overlap=0)]
    assert "| hose | heat  |" in cut


def test_neighbours_share_whole_sentences_up_to_the_overlap() -> None:
    plain = "One two three. Four five six. Seven eight nine. Ten eleven twelve."
    found = [plain[each.start : each.end] for each in chunks(document(plain, "txt"), count, most=6, overlap=3)]
    assert found == [
        "One two three. Four five six.",
        "Four five six. Seven eight nine.",
        "Seven eight nine. Ten eleven twelve.",
    ]


@given(
    st.text(alphabet=st.sampled_from("abc .!?\n\t#|`-äß漢字。\r\x0b\u2028"), max_size=300),
    st.integers(min_value=1, max_value=20),
    st.integers(min_value=0, max_value=10),
    st.sampled_from(["md", "txt"]),
)
def test_whatever_the_text_its_words_are_in_the_chunks_and_no_chunk_is_too_large(
    content: str, most: int, overlap: int, kind: str
) -> None:
    read = document(content, kind)
    found = list(chunks(read, count, most=most, overlap=overlap))
    covered = set()
    for each in found:
        assert 0 <= each.start < each.end <= len(read.text)
        covered |= set(range(each.start, each.end))
    for block in read.blocks:
        if block.kind != "heading" and found:
            missed = [at for at in range(block.start, block.end) if at not in covered and not read.text[at].isspace()]
            assert not missed, (missed, content)
    pieces = [read.text[each.start : each.end] for each in found]
    assert all(len(words(piece)) <= most for piece in pieces), pieces
