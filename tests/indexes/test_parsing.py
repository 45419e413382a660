"""Each format is read with its structure; what cannot be read is one sentence."""

from __future__ import annotations

import io
import os
import signal
import threading
import zipfile
from pathlib import Path

import pytest

from plimsoll.indexes.documents import Document, Unreadable
from plimsoll.indexes.parsing import PARSERS
from plimsoll.indexes.parsing.problems import BadDocument
from plimsoll.runtime import document_reader
from plimsoll.runtime.document_reader import read_files, read_table
from plimsoll.runtime.index_order import Columns


def parts(suffix: str, content: bytes) -> list[tuple[str, str]]:
    text, blocks = PARSERS[suffix](content)
    return [(block.kind, text[block.start : block.end]) for block in blocks]


def test_html_gives_headings_paragraphs_and_tables_and_leaves_scripts_and_hidden_words_out() -> None:
    page = b"""<html><head><title>x</title><style>p{}</style></head><body><nav>Home</nav><h1>Pumps</h1>
    <div>They <b>move</b> oil.<p>A bearing<br>is worn.</p></div><script>alert(1)</script><p hidden>secret</p>
    <table><tr><th>part</th><td>seal</td></tr></table><pre>a
  b</pre></body></html>"""
    assert parts(".html", page) == [
        ("heading", "Pumps"),
        ("paragraph", "They move oil."),
        ("paragraph", "A bearing is worn."),
        ("table", "part | seal"),
        ("code", "a\n  b"),
    ]


def test_a_word_document_gives_headings_and_tables_in_their_order() -> None:
    from docx import Document as WordDocument

    word = WordDocument()
    word.add_heading("Pumps", 1)
    word.add_paragraph("They move oil.")
    word.add_table(rows=1, cols=2).rows[0].cells[0].text = "seal"
    held = io.BytesIO()
    word.save(held)
    assert parts(".docx", held.getvalue()) == [
        ("heading", "Pumps"),
        ("paragraph", "They move oil."),
        ("table", "seal |"),
    ]


def pdf(text: str) -> bytes:
    """A PDF of one page."""
    stream = f"BT /F1 12 Tf 20 100 Td ({text}) Tj ET" if text else ""
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        f"<</Length {len(stream)}>>stream\n{stream}\nendstream",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    body, offsets = "%PDF-1.4\n", []
    for number, each in enumerate(objects, start=1):
        offsets.append(len(body))
        body += f"{number} 0 obj{each}endobj\n"
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    head = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n"
    return f"{body}{head}{table}trailer<</Size 6/Root 1 0 R>>\nstartxref\n{len(body)}\n%%EOF\n".encode()


def test_a_pdf_is_read_by_pages_and_one_without_text_says_so() -> None:
    assert parts(".pdf", pdf("Pumps move oil")) == [("heading", "page 1"), ("paragraph", "Pumps move oil")]
    with pytest.raises(BadDocument, match="has no text in its 1 pages, which may be scans"):
        PARSERS[".pdf"](pdf(""))


def test_markdown_offsets_are_those_of_the_file_whatever_ends_its_lines() -> None:
    for end in ("\n", "\r\n", "\r"):
        content = end.join(["# Ä", "", "erste\u2028Zeile", "", "```", "code", "```"])
        assert [kind for kind, _ in parts(".md", content.encode())] == ["heading", "paragraph", "code"]
        assert parts(".md", content.encode())[1][1] == "erste\u2028Zeile"


def bomb() -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b" " * (600 * 2**20))
    return held.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.txt", "Käse".encode("latin-1"), "is not UTF-8 from byte 1 on"),
        ("a.md", b"a\x00b", "has the byte 0 at character 1, so that it is no text"),
        ("a.txt", b"  \n", "has no text"),
        ("a.pdf", pdf("Pumps")[:80], "is no PDF that can be read"),
        ("a.docx", b"PK nothing", "is no Word document that can be read"),
        ("a.docx", None, "unpacks to 600 MiB; the limit is 512 MiB"),
        ("a.png", b"\x89PNG", "has no parser"),
    ],
)
def test_a_document_that_cannot_be_read_says_why_and_the_others_are_read(
    tmp_path: Path, name: str, content: bytes | None, reason: str
) -> None:
    (tmp_path / name).write_bytes(bomb() if content is None else content)
    (tmp_path / "good.txt").write_text("good", encoding="utf-8")
    bad, good = read_files(tmp_path)
    assert isinstance(bad, Unreadable)
    assert (bad.source, reason in bad.reason) == (name, True), bad
    assert isinstance(good, Document)


def test_a_parser_that_hangs_or_dies_costs_one_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document_reader, "SECONDS", 2.0)
    names = ["a.txt", "b.txt", "c.txt", "d.txt"]
    for name in names:
        (tmp_path / name).write_text(name, encoding="utf-8")
    documents, found = read_files(tmp_path), []
    for stop in (signal.SIGSTOP, None, signal.SIGSEGV, None):
        found.append(next(documents))
        if stop is not None:
            own = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text(encoding="ascii")
            os.kill(int(own.split()[-1]), stop)
    reasons = [getattr(each, "reason", "read") for each in found]
    assert reasons == ["read", "takes longer than 2 s to be read", "read", "ends the parser with status -11"]


def test_links_out_of_the_dataset_and_hidden_files_are_not_read(tmp_path: Path) -> None:
    inside, outside = tmp_path / "pages", tmp_path / "secret.txt"
    inside.mkdir()
    outside.write_text("secret", encoding="utf-8")
    (inside / "link.txt").symlink_to(outside)
    (inside / ".hidden.txt").write_text("hidden", encoding="utf-8")
    assert list(read_files(inside)) == [Unreadable(source="link.txt", reason="is a link that leads out of the dataset")]


def test_rows_of_a_table_are_documents_with_their_place(tmp_path: Path) -> None:
    table = tmp_path / "orders.csv"
    table.write_text('nr,text,site\n7,"oil leak",north\n8,,north\n', encoding="utf-8")
    first, second = read_table(table, Columns(text="text", id="nr", metadata=("site",)))
    assert isinstance(first, Document)
    assert (first.id, first.text, first.metadata) == ("7", "oil leak", {"site": "north"})
    assert first.source == "orders.csv:2"
    assert isinstance(second, Unreadable)
    assert second.reason == "has no text in the column 'text'"
