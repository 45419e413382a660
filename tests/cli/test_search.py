"""`plimsoll search`: from documents to passages with their place."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from plimsoll.cli.verbs.search import command
from plimsoll.engine.index_search import open_index
from plimsoll.errors import ModelRefused
from plimsoll.indexes.changes import Change, Journal
from plimsoll.indexes.reading import Hit
from plimsoll.registry.versions import Indexed
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.models import model_registry
from tests.indexes.cross_encoder_model import write_cross_encoder
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
    log = ran["indexes"]["log"]
    built = {"documents": 3, "chunks": 3, "embedded": 3, "model": "small@1", "left_out": 0}
    assert log == {**built, "version": 1, "digest": log["digest"]}
    hit = answer(plimsoll("search", "log", "payment", "--top", "1", "--json"))["hits"][0]
    assert (hit["id"], hit["text"], hit["metadata"]) == ("8", "overdue invoice", {"cause": "post"})
    seen = answer(plimsoll("search", "log", "payment", "--access", "north", "--json"))["hits"]
    assert {each["id"] for each in seen} == {"7", "9"}

    (tmp_path / "orders.csv").write_text(ORDERS + "10,a dog barks,visitor,office\n")
    again = answer(plimsoll("run", "--json"))
    assert (again["indexes"]["log"]["chunks"], again["indexes"]["log"]["embedded"]) == (4, 1)
    assert answer(plimsoll("search", "log", "animal", "--top", "1", "--json"))["hits"][0]["id"] == "10"


def test_a_column_without_a_value_for_a_row_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, LEXICAL)
    hit = Hit(id="7", source="7", start=0, end=8, score=0.5, text="oil leak", metadata={"cause": "seal", "remedy": ""})
    index = SimpleNamespace(search=lambda *_: [hit])
    monkeypatch.setattr("plimsoll.engine.index_search.open_index", lambda *_: index)
    shown = CliRunner().invoke(command, ["faq", "leak", "-f", str(tmp_path)], standalone_mode=False)
    assert shown.stdout.splitlines()[1:] == ["   oil leak", "   cause: seal"]


@pytest.mark.slow
def test_an_index_whose_files_were_altered_is_not_searched(
    plimsoll: Plimsoll, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    write(tmp_path, LEXICAL)
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "a.txt").write_text("The pump is safe.")
    assert plimsoll("run").returncode == 0
    registry = model_registry(StateDirectory(tmp_path))
    [version] = registry.versions("indexes.faq")
    for name, file in version.files.items():
        blob = registry.layout.path(file.digest)
        whole = blob.read_bytes()
        blob.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(ModelRefused, match=f"{name} of indexes.faq@1 was altered"):
            open_index(tmp_path / "plimsoll.yaml", "faq")
        blob.write_bytes(whole)
    assert open_index(tmp_path / "plimsoll.yaml", "faq").search("pump")


@pytest.mark.slow
def test_an_index_is_a_version_with_its_lineage_and_an_older_one_can_be_searched(
    plimsoll: Plimsoll, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    write(tmp_path, LEXICAL)
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "a.txt").write_text("The pump is safe.")
    ran = answer(plimsoll("run", "--json"))
    (tmp_path / "pages" / "a.txt").write_text("The valve is safe.")
    again = answer(plimsoll("run", "--json"))
    assert [each["indexes"]["faq"]["version"] for each in (ran, again)] == [1, 2]
    path = tmp_path / "plimsoll.yaml"
    assert open_index(path, "faq").search("pump") == []
    assert open_index(path, "faq@1").search("pump")[0].text == "The pump is safe."

    first, second = model_registry(StateDirectory(tmp_path)).versions("indexes.faq")
    assert first.lineage.index == Indexed(search="lexical", tokens=256, overlap=64)
    assert first.lineage.step == "release/faq"
    assert first.lineage.data != second.lineage.data
    told = plimsoll("models", "indexes.faq@2", "--verify").stdout
    assert "lexical, passages of 256 tokens at most with 64 in common" in told
    assert "verified: signature, manifest, lineage and every file are valid" in told


@pytest.mark.slow
def test_what_was_deleted_over_http_is_in_no_file_of_the_next_version(
    plimsoll: Plimsoll, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    write(tmp_path, LEXICAL)
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "a.txt").write_text("The pump is safe.")
    (tmp_path / "pages" / "wotsername.txt").write_text("Reported by xyzzyplugh.")
    assert plimsoll("run").returncode == 0
    assert open_index(tmp_path / "plimsoll.yaml", "faq").search("xyzzyplugh")
    Journal(tmp_path / ".plimsoll" / "changes" / "faq.jsonl").add([Change(id="wotsername.txt", deleted=True)])
    assert open_index(tmp_path / "plimsoll.yaml", "faq").search("xyzzyplugh") == []
    assert answer(plimsoll("run", "--force", "faq", "--json"))["indexes"]["faq"]["version"] == 2
    registry = model_registry(StateDirectory(tmp_path))
    first, second = (registry.open(version).files for version in registry.versions("indexes.faq"))
    held = [b"".join(path.read_bytes() for path in files.values()) for files in (first, second)]
    assert [b"xyzzyplugh" in each for each in held] == [True, False]
    assert [b"wotsername" in each for each in held] == [True, False]


RERANKED = """\
  datasets: {pages: {source: pages}}
  models:
    judge: {source: judge/model.onnx, tokenizer: judge/tokenizer.json}
  indexes: {faq: {documents: pages, rerank: judge}}
"""


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_reranker_goes_with_the_index_and_what_is_none_fails_the_run_with_the_reason(
    plimsoll: Plimsoll, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    write(tmp_path, RERANKED)
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "long.txt").write_text("oil oil oil oil")
    (tmp_path / "pages" / "both.txt").write_text("An invoice for oil and a leak near the pump.")
    write_model(tmp_path / "judge")
    failed = plimsoll("run")
    assert failed.returncode == 1
    assert "a cross-encoder one number" in failed.stdout + failed.stderr
    write_cross_encoder(tmp_path / "judge")
    ran = answer(plimsoll("run", "--json"))
    assert ran["state"] == "done"
    index = open_index(tmp_path / "plimsoll.yaml", "faq")
    assert [hit.id for hit in index.search("oil leak invoice")] == ["long.txt", "both.txt"]
    [version] = model_registry(StateDirectory(tmp_path)).versions("indexes.faq")
    assert version.lineage.index is not None
    assert version.lineage.index.reranker == "judge@2", "the first was no cross-encoder"
