"""What telemetry has of an assistant's answer: its sources, its stages and its support, and none of its words."""

from __future__ import annotations

import msgspec
import pytest

from plimsoll.runtime.server.observers import Answer, Generated
from plimsoll.telemetry.request_lines import MAX_SOURCES, access_line, audit_line

WORDS = "The seal is changed every 500 hours."


def answer(**more: object) -> Answer:
    given: dict[str, object] = {
        "operation": "invoke_agent",
        "route": "/v1/chat/completions",
        "engine": "assistant",
        "asked": "mechanic",
        "stream": True,
        "input_tokens": 90,
        "output_tokens": 12,
        "question": [{"role": "user", "content": WORDS}],
        "answer": WORDS,
        "stages": {"embed": 0.004, "search": 0.002, "rerank": 0.03, "prompt": 0.001, "generate": 1.5},
        "outcome": "answered",
        "sentences": {"supported": 2, "unsupported": 1},
        "sources": ("seals.md",),
        "versions": {"index": "manuals@3", "llm": "writer@1"},
        **more,
    }
    generated = Generated(**given)  # type: ignore[arg-type]  # each test names fields of it
    return Answer(
        model="mechanic", version="1", digest="sha256:d", status=200, began=1e9, seconds=1.6, generated=generated
    )


def test_the_audit_log_has_what_an_answer_stands_on_and_none_of_its_words() -> None:
    line = audit_line(answer(), "", payloads=False)
    assert {name: line[name] for name in ("operation", "outcome", "index", "llm", "supported", "unsupported")} == {
        "operation": "invoke_agent",
        "outcome": "answered",
        "index": "manuals@3",
        "llm": "writer@1",
        "supported": 2,
        "unsupported": 1,
    }
    assert line["sources"] == ["seals.md"]
    assert b"500 hours" not in msgspec.json.encode(line)
    assert b"500 hours" not in msgspec.json.encode(access_line(answer(), ""))
    assert b"500 hours" in msgspec.json.encode(audit_line(answer(), "", payloads=True))


def test_a_line_is_bounded_whatever_documents_are_called() -> None:
    line = audit_line(answer(sources=("d" * 9000,) * 1000), "", payloads=False)
    assert len(line["sources"]) == MAX_SOURCES  # type: ignore[arg-type]  # it is a list
    assert len(msgspec.json.encode(line)) < 20_000


def test_a_language_model_that_is_asked_by_itself_has_no_sources() -> None:
    line = audit_line(answer(operation="chat", versions={}, outcome="", stages={}), "", payloads=False)
    assert not {"sources", "supported", "outcome"} & line.keys()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_its_searches_are_spans_under_that_of_the_question() -> None:
    memory = pytest.importorskip(
        "opentelemetry.sdk.trace.export.in_memory_span_exporter", reason="needs plimsoll[otel]"
    )
    from plimsoll.telemetry.traces import TraceExporter

    kept = memory.InMemorySpanExporter()
    exporter = TraceExporter("help", kept)
    exporter.answered([answer()])
    exporter.close()
    spans = {span.name: span for span in kept.get_finished_spans()}
    asked = spans["invoke_agent mechanic"]
    assert list(spans) == ["embeddings manuals", "retrieval manuals", "rerank manuals", "invoke_agent mechanic"]
    assert all(span.parent.span_id == asked.context.span_id for name, span in spans.items() if span is not asked)
    times = [(span.start_time - asked.start_time, span.end_time - span.start_time) for span in spans.values()][:3]
    assert [round(length / 1e6) for _, length in times] == [4, 2, 30]
    assert [round(begin / 1e6) for begin, _ in times] == [0, 4, 6]
    told = dict(asked.attributes)
    assert told["gen_ai.agent.name"] == "mechanic"
    assert told["plimsoll.assistant.supported_sentences"] == 2
    assert "500 hours" not in str([dict(span.attributes) for span in spans.values()])
