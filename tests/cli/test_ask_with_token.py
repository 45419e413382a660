"""`plimsoll ask` and `plimsoll eval` of a language model whose service asks who calls."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("xllamacpp", reason="needs the extra plimsoll[llms]")

from plimsoll.runtime.server.identities import token_file
from tests.authority import Authority
from tests.llms.tiny import tiny_model

from .conftest import Plimsoll, answer, write

FILE = """\
  datasets: {pages: {source: pages}}
  indexes: {faq: {documents: pages}}
  models: {small: {source: tiny.gguf}}
  llms: {writer: {model: small, context: 1024, slots: 1, limits: {tokens: 16}}}
  services:
    chat:
      llm: writer
      auth: {tokens: tokens.json}
      tls: {certificate: ca/server.crt, key: ca/server.key}
  assistants: {help: {index: faq, llm: writer, questions: judged.jsonl}}
"""
QUESTION = "How often is the seal changed?"


@pytest.fixture
def up(tmp_path: Path, plimsoll: Plimsoll) -> Iterator[Path]:
    """The service is kept up. Its connections are encrypted by an authority that the machine does not know."""
    Authority(tmp_path / "ca", "bank").issue("server", "models.bank", "127.0.0.1", client=False)
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "seal.md").write_text("# Seals\n\nChange the seal of the pump every 500 hours.\n")
    (tmp_path / "judged.jsonl").write_text(json.dumps({"question": QUESTION, "documents": ["seal.md"]}) + "\n")
    tiny_model(tmp_path / "tiny.gguf")
    write(tmp_path, FILE)
    token_file.create(tmp_path / "tokens.json", "nobody", ("metrics",), None)
    ran = plimsoll("run")
    assert ran.returncode == 0, ran.stderr
    started = plimsoll("up")
    assert started.returncode == 0, started.stderr
    yield tmp_path
    plimsoll("down")


@pytest.mark.slow
@pytest.mark.series
@pytest.mark.timeout(300)
def test_a_language_model_that_asks_who_calls_is_asked_with_the_caller_s_token(up: Path, plimsoll: Plimsoll) -> None:
    good = token_file.create(up / "tokens.json", "ada", ("infer",), None)
    poor = token_file.create(up / "tokens.json", "eve", ("metrics",), None)
    (up / "token").write_text(good)

    nobody = plimsoll("ask", "help", QUESTION)
    assert nobody.returncode == 1
    assert "the language model wants a key" in nobody.stderr
    assert "(status 401)" in nobody.stderr
    assert "PLIMSOLL_TOKEN" in nobody.stderr

    eve = plimsoll("ask", "help", QUESTION, PLIMSOLL_TOKEN=poor)
    assert eve.returncode == 1
    assert "(status 403)" in eve.stderr
    assert "--token-file" in eve.stderr
    assert poor not in eve.stdout + eve.stderr

    assert answer(plimsoll("ask", "help", QUESTION, "--json", PLIMSOLL_TOKEN=good))["passages"]
    assert answer(plimsoll("ask", "help", QUESTION, "--json", "--token-file", "token"))["tokens"] > 0
    refused = answer(plimsoll("eval", "help", "--json"))
    assert (refused["errors"], refused["accepted"]) == (1, False)
    assert "PLIMSOLL_TOKEN" in json.dumps(refused)
    judged = answer(plimsoll("eval", "help", "--json", PLIMSOLL_TOKEN=good))
    assert judged["accepted"]
    assert "errors" not in judged
    assert good not in json.dumps(judged)
