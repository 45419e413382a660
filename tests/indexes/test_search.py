"""What is found, by words and by meaning; who sees it; and what a later version of an index takes from an earlier."""

from __future__ import annotations

import math
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.errors import PlimsollError
from plimsoll.indexes.building import IndexBuilder, Settings
from plimsoll.indexes.documents import Document, Unreadable
from plimsoll.indexes.earlier import Earlier
from plimsoll.indexes.embedder import Embedder
from plimsoll.indexes.layout import IndexFacts, SearchMode
from plimsoll.indexes.lexical import K1, B, LexicalIndex, LexicalWriter, Seen, scores
from plimsoll.indexes.parsing.text import paragraphs
from plimsoll.indexes.reading import SearchIndex
from plimsoll.indexes.vectors import VectorIndex, VectorWriter
from plimsoll.indexes.words import words
from tests.indexes.embedding_model import write_model

TEXTS = {
    "leak": "The hose has an oil leak.",
    "noise": "The bearing makes noise.",
    "bill": "The invoice is overdue.",
    "cat": "A cat slept on the pump.",
}


def document(name: str, text: str, *access: str) -> Document:
    return Document(id=name, source=f"{name}.txt", text=text, blocks=paragraphs(text), access=access)


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    return Embedder(write_model(tmp_path_factory.mktemp("model")))


def build(
    directory: Path,
    documents: Sequence[Document | Unreadable],
    mode: SearchMode = "lexical",
    embedder: Embedder | None = None,
    earlier: Path | None = None,
) -> IndexFacts:
    directory.mkdir(parents=True, exist_ok=True)
    builder = IndexBuilder(directory, Settings(search=mode), embedder, lambda line: None)
    return builder.build(documents, Earlier(earlier) if earlier else None)


def texts() -> list[Document]:
    return [document(name, text) for name, text in TEXTS.items()]


def test_words_are_found_with_the_place_of_their_passage(tmp_path: Path) -> None:
    build(tmp_path, texts())
    [hit] = SearchIndex(tmp_path).search("INVOICE")
    assert (hit.id, hit.source, hit.text) == ("bill", "bill.txt", TEXTS["bill"][hit.start : hit.end])
    assert SearchIndex(tmp_path).search("unheard of") == []
    assert SearchIndex(tmp_path).search("  ") == []


@pytest.mark.parametrize("mode", ["dense", "hybrid"])
def test_a_word_that_means_the_same_finds_what_has_another(
    tmp_path: Path, embedder: Embedder, mode: SearchMode
) -> None:
    build(tmp_path, texts(), mode, embedder)
    index = SearchIndex(tmp_path, embedder)
    assert index.search("payment", 1)[0].id == "bill"
    assert index.search("dog", 1)[0].id == "cat"
    assert index.search("oil leak", 1)[0].id == "leak"


def test_the_vector_of_a_text_is_the_same_in_whatever_company_it_is_embedded(embedder: Embedder) -> None:
    together = embedder.embed(["oil", *TEXTS.values(), "cat " * 200, ""])
    assert (together[0] == embedder.embed(["oil"])[0]).all()
    assert np.isfinite(together).all()


def test_an_index_of_which_nothing_could_be_read_is_refused_with_the_first_reason(tmp_path: Path) -> None:
    with pytest.raises(PlimsollError, match="none of the 2 documents could be read; the first of them is a scan"):
        build(tmp_path, [Unreadable(source="a.pdf", reason="is a scan"), Unreadable(source="b.pdf", reason="x")])
    with pytest.raises(PlimsollError, match="there are no documents"):
        build(tmp_path / "empty", [])


def test_two_documents_with_one_id_are_refused_by_both_their_places(tmp_path: Path) -> None:
    twice = [document("a", "one"), Document(id="a", source="other.csv:3", text="two", blocks=paragraphs("two"))]
    with pytest.raises(PlimsollError, match=r"two documents have the id 'a': a\.txt and other\.csv:3"):
        build(tmp_path, twice)


def test_another_embedding_model_than_that_of_the_index_is_refused(tmp_path: Path, embedder: Embedder) -> None:
    build(tmp_path, texts(), "dense", embedder)
    with pytest.raises(PlimsollError, match="embedded by another model"):
        SearchIndex(tmp_path)


LABELS = ("red", "green", "blue")


@pytest.mark.parametrize("mode", ["lexical", "dense", "hybrid"])
def test_a_caller_finds_only_documents_with_one_of_her_labels_or_none(
    tmp_path: Path, embedder: Embedder, mode: SearchMode
) -> None:
    every = [document(f"{label}-{name}", text, label) for label in LABELS for name, text in TEXTS.items()]
    every += [document("both", "The oil leak is old.", "red", "green"), document("open", "An oil pump leak.")]
    build(tmp_path, every, mode, embedder if mode != "lexical" else None)
    index = SearchIndex(tmp_path, embedder if mode != "lexical" else None)
    for holds in ((), ("red",), ("green", "blue"), ("RED",), ("red,green",), ("red-leak",)):
        for question in (*TEXTS.values(), "oil leak", "red-leak", "id:blue", "leak " * 300):
            found = {hit.id for hit in index.search(question, 50, holds)}
            seen = {each.id for each in every if not each.access or set(each.access) & set(holds)}
            assert found <= seen, (holds, question)
    assert {"both", "open", "red-leak"} <= {hit.id for hit in index.search("oil leak", 50, ["red"])}


def test_only_what_changed_is_embedded_anew_and_the_answers_are_those_of_a_whole_build(
    tmp_path: Path, embedder: Embedder
) -> None:
    first = build(tmp_path / "1", texts(), "hybrid", embedder)
    assert first.embedded == len(TEXTS)
    changed = [each for each in texts() if each.id != "cat"] + [document("dog", "A dog barks at the pump.")]
    second = build(tmp_path / "2", changed, "hybrid", embedder, earlier=tmp_path / "1")
    assert second.embedded == 1
    build(tmp_path / "3", changed, "hybrid", embedder)
    taken, whole = SearchIndex(tmp_path / "2", embedder), SearchIndex(tmp_path / "3", embedder)
    for question in TEXTS.values():
        assert [hit.id for hit in taken.search(question)] == [hit.id for hit in whole.search(question)]


def test_a_document_that_was_removed_is_in_no_file_of_the_next_index(tmp_path: Path, embedder: Embedder) -> None:
    secret = document("person-4711", "Oil leak reported by xyzzyplugh.")
    build(tmp_path / "1", [*texts(), secret], "hybrid", embedder)
    build(tmp_path / "2", texts(), "hybrid", embedder, earlier=tmp_path / "1")
    held = b"".join(path.read_bytes() for path in (tmp_path / "2").iterdir())
    assert b"xyzzyplugh" not in held
    assert b"4711" not in held
    assert len(VectorIndex(tmp_path / "2", embedder.dimension, 1).vectors(0, range(10))) == len(TEXTS)


def _bm25(query: str, texts: Sequence[str]) -> list[float]:
    """The definition, without an index."""
    counted = [Counter(words(text)) for text in texts]
    mean = sum(each.total() for each in counted) / len(texts) or 1.0
    scores = [0.0] * len(texts)
    for word in set(words(query)):
        having = sum(word in each for each in counted)
        inverse = math.log1p((len(texts) - having + 0.5) / (having + 0.5))
        for row, each in enumerate(counted):
            often = each[word]
            scores[row] += inverse * often * (K1 + 1) / (often + K1 * (1 - B + B * each.total() / mean))
    return scores


@given(st.lists(st.text(alphabet="ab c", max_size=20), min_size=1, max_size=12), st.text(alphabet="ab c", max_size=9))
def test_the_scores_of_words_are_those_of_the_definition(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], query: str
) -> None:
    directory = tmp_path_factory.mktemp("lexical")
    writer = LexicalWriter()
    for text in texts:
        writer.add(text)
    writer.write(directory)
    index = LexicalIndex(directory, len(texts))
    assert scores(query, [Seen(index)])[0] == pytest.approx(_bm25(query, texts), rel=1e-5)


def test_a_caller_learns_nothing_of_how_rare_a_word_is_in_what_she_may_not_see(
    tmp_path: Path, embedder: Embedder
) -> None:
    """What others have changes no score: the index of all documents answers as that of hers alone."""
    hers = [document("leak", "The pump has an oil leak."), document("bill", "An invoice for the pump.", "red")]
    secret = [document(f"secret-{number}", "leak leak leak of merger talks", "blue") for number in range(30)]
    for mode in ("lexical", "hybrid"):
        alone, among = tmp_path / f"{mode}-alone", tmp_path / f"{mode}-among"
        build(alone, hers, mode, embedder if mode == "hybrid" else None)
        build(among, [*secret, *hers], mode, embedder if mode == "hybrid" else None)
        one, other = (SearchIndex(each, embedder if mode == "hybrid" else None) for each in (alone, among))
        for question in ("leak", "pump leak", "merger talks", "invoice leak merger"):
            found = [(hit.id, hit.score) for hit in other.search(question, 10, ["red"])]
            assert found == [(hit.id, hit.score) for hit in one.search(question, 10, ["red"])], (mode, question)


def test_every_vector_is_found_by_itself_when_many_threads_added_them(tmp_path: Path) -> None:
    drawn = np.random.default_rng(3)
    centres = drawn.normal(size=(40, 32))
    vectors = (centres[drawn.integers(40, size=4000)] + 0.05 * drawn.normal(size=(4000, 32))).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    VectorWriter(tmp_path, 32, threads=8).write(0, np.arange(4000), vectors)
    index = VectorIndex(tmp_path, 32, 1)
    lost = [row for row in range(4000) if row not in dict(index.search(vectors[row], 10, [0]))]
    assert lost == []


def test_vectors_are_near_to_those_of_an_exact_search(tmp_path: Path) -> None:
    drawn = np.random.default_rng(5)
    vectors = drawn.normal(size=(3000, 24)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    VectorWriter(tmp_path, 24).write(0, np.arange(3000), vectors)
    index, right = VectorIndex(tmp_path, 24, 1), 0
    for question in vectors[:200]:
        exact = set(np.argsort(-(vectors @ question))[:10].tolist())
        right += len(exact & set(dict(index.search(question, 10, [0]))))
    assert right / 2000 >= 0.95


def test_files_that_are_cut_off_are_one_error(tmp_path: Path, embedder: Embedder) -> None:
    build(tmp_path, texts(), "hybrid", embedder)
    refused = set()
    for path in sorted(tmp_path.iterdir()):
        whole = path.read_bytes()
        if len(whole) < 2:
            continue
        path.write_bytes(whole[: len(whole) // 2])
        try:
            SearchIndex(tmp_path, embedder).search("oil")
        except PlimsollError:
            refused.add(path.name)
        finally:
            path.write_bytes(whole)
    assert {
        "chunks.npy",
        "documents.jsonl",
        "index.json",
        "lexical.rows.npy",
        "texts.txt",
        "vectors-0.usearch",
    } <= refused


def test_vectors_and_models_work_in_one_process_whichever_is_used_first(tmp_path: Path) -> None:
    write_model(tmp_path)
    script = """if True:
        import sys
        from pathlib import Path
        import numpy as np
        from plimsoll.indexes.embedder import Embedder
        from plimsoll.indexes.vectors import VectorWriter
        VectorWriter(Path(sys.argv[1]), 4).write(0, np.arange(3), np.eye(3, 4, dtype=np.float32))
        Embedder(Path(sys.argv[1], "model.onnx")).embed(["pump"])
    """
    assert subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False).returncode == 0
