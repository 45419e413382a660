"""An assistant on a cluster whose pods are real processes: index, language model and page, while new versions come."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from plimsoll.kinds.serve import ServeResult
from plimsoll.targets.features import USES
from tests.assistants.chat_server import Chat, chat_server, quotes
from tests.targets.kubernetes.bench import Bench
from tests.targets.kubernetes.real_services import Asking, RealServices
from tests.targets.kubernetes.test_indexes import carry, planned, really, written

pytest.importorskip("usearch", reason="needs the extra plimsoll[retrieval]")
pytestmark = [pytest.mark.slow, pytest.mark.series, pytest.mark.timeout(200)]

FILE = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: shop}
spec:
  datasets: {pages: {source: pages}}
  indexes: {manuals: {documents: pages}}
  llms: {writer: {endpoint: {url: URL, model: m}, limits: {time: 20s}}}
  assistants: {help: {index: manuals, llm: writer, refuse: 0.1}}
  services:
    chat: {llm: writer}
    ask: {assistant: help}
"""
QUESTION = {"model": "help", "messages": [{"role": "user", "content": "What makes the bearing of the pump?"}]}


def test_a_new_index_takes_over_without_a_failed_question(bench: Bench, tmp_path: Path) -> None:
    really(bench, tmp_path / "pods")
    services = RealServices(bench, tmp_path / "servers")
    with chat_server(_reply) as model:
        path = written(bench, FILE.replace("URL", model.url))
        session = bench.session()
        plan = planned(bench, path)
        carry(session, plan)
        served = session.result(plan.step("serve/ask"))
        assert isinstance(served, ServeResult)
        assert served.model == "help@1, indexes.manuals@1, writer@1"
        page = httpx.get(f"http://{services.address('ask')}/", headers={"accept": "text/html"}, trust_env=False)
        assert "What it stands on" in page.text
        with Asking(services, "ask", QUESTION) as asking:
            (bench.directory / "pages" / "pump.md").write_text("# Pump\n\nThe bearing makes no noise at all.\n")
            later = planned(bench, path)
            carry(session, later)
            assert bench.cluster.wait_for(lambda: asking.answers[-1:] and _index(asking.answers[-1]).endswith("@2"), 60)
    assert asking.failures == []
    assert {_index(each) for each in asking.answers} == {"indexes.manuals@1", "indexes.manuals@2"}
    said = asking.answers[-1]
    assert said["choices"][0]["message"]["content"] == "The bearing makes no noise at all."
    assert said["plimsoll"]["sources"] == ["pump.md"]
    assert {each.reference for each in bench.target().features.require(USES)()} == {"indexes.manuals@2"}


def _reply(chat: Chat, body: dict[str, Any]) -> None:
    """Quote the first passage in a stream; a whole answer, which only the proof of a service asks for, is a word."""
    if body.get("stream"):
        quotes(chat, body)
        return
    chat.begin(kind="application/json")
    message = {"role": "assistant", "content": "yes"}
    chat.send(json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode())


def _index(answer: dict[str, dict[str, str]]) -> str:
    return answer["plimsoll"]["index"]
