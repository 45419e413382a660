"""`plimsoll search`: from documents to passages with their place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.indexes.embedding_model import write_model

from .conftest import Plimsoll, answer, write

LEXICAL = "  datasets: {pages: {source: pages}}\n  indexes: {faq: {documents: pages}}\n"
DENSE = """\
  datasets: {orders: {source: orders.csv}}
  models: {small: {train: {run: python train.py}}}
  indexes: {log: {documents: orders, text: what, id: nr, access: team, metadata: [cause], embed: small}}
"""
TRAIN = """\
import os, shutil
for name in ("model.onnx", "tokenizer.json"):
    shutil.copy("made/" + name, os.environ["PLIMSOLL_OUTPUT"])
"""
ORDERS = "nr,what,cause,team\n7,oil leak,seal,north\n8,overdue invoice,post,office\n9,bearing noise,wear,north\n"


@pytest.mark.slow
def test_a_passage_is_shown_with_its_document_and_its_headings(plimsoll: Plimsoll, tmp_path: Path) -> None:
    write(tmp_path, LEXICAL)
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "pumps.md").write_text("# Pumps\n\n## Leaks\n\nChange the seal.\n")
    (tmp_path / "pages" / "scan.pdf").write_bytes(b"%PDF-1.4")
    not_yet = plimsoll("search", "faq", "seal")
    assert (not_yet.returncode, "the index 'faq' is not built" in not_yet.stderr) == (1, True)
    assert "plimsoll run" in not_yet.stderr
    ran = plimsoll("run")
    assert ran.returncode == 0, ran.stderr
    assert "1 document, 1 chunk, 1 left out" in ran.stdout
    assert "scan.pdf is no PDF that can be read" in ran.stdout
    found = plimsoll("search", "faq", "which seal?")
    assert "pumps.md, characters 19 to 35  Pumps › Leaks" in found.stdout
    assert "Change the seal." in found.stdout
    nothing = plimsoll("search", "faq", "zeppelin")
    assert (nothing.returncode, nothing.stdout, nothing.stderr) == (0, "", "nothing was found\n")
    wrong = plimsoll("search", "fax", "seal")
    assert (wrong.returncode, "did you mean 'faq'?" in wrong.stderr) == (2, True)


@pytest.mark.slow
def test_rows_are_found_by_their_meaning_and_only_by_who_may_see_them(plimsoll: Plimsoll, tmp_path: Path) -> None:
    write(tmp_path, DENSE, train_py=TRAIN)
    write_model(tmp_path / "made")
    (tmp_path / "orders.csv").write_text(ORDERS)
    ran = answer(plimsoll("run", "--json"))
    assert ran["indexes"]["log"] == {"documents": 3, "chunks": 3, "embedded": 3, "model": "small@1", "left_out": 0}
    hit = answer(plimsoll("search", "log", "payment", "--top", "1", "--json"))["hits"][0]
    assert (hit["id"], hit["text"], hit["metadata"]) == ("8", "overdue invoice", {"cause": "post"})
    seen = answer(plimsoll("search", "log", "payment", "--access", "north", "--json"))["hits"]
    assert {each["id"] for each in seen} == {"7", "9"}

    (tmp_path / "orders.csv").write_text(ORDERS + "10,a dog barks,visitor,office\n")
    again = answer(plimsoll("run", "--json"))
    assert (again["indexes"]["log"]["chunks"], again["indexes"]["log"]["embedded"]) == (4, 1)
    assert answer(plimsoll("search", "log", "animal", "--top", "1", "--json"))["hits"][0]["id"] == "10"


def test_an_index_whose_files_were_altered_is_not_searched(plimsoll: Plimsoll, tmp_path: Path) -> None:
    write(tmp_path, LEXICAL)
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "a.txt").write_text("The pump is safe.")
    assert plimsoll("run").returncode == 0
    texts = tmp_path / ".plimsoll" / "latest" / "index" / "faq" / "texts.txt"
    texts.write_text(texts.read_text().replace("safe", "open"))
    refused = plimsoll("search", "faq", "pump")
    assert refused.returncode == 1
    assert "the files of the index 'faq' are not as they were written" in refused.stderr
