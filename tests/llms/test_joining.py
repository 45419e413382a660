"""A whole answer from the events of a stream."""

from __future__ import annotations

import json
from typing import Any

import pytest

from plimsoll.llms.joining import ErrorInStream, Joined, NotJoined


def event(value: object) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def chunk(finish: str | None = None, usage: object = None, **delta: object) -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return event({**head, "choices": choices, **({"usage": usage} if usage else {})})


def joined(*events: bytes) -> dict[str, Any]:
    parts = Joined()
    for each in events:
        parts.take(each)
    found: dict[str, Any] = json.loads(parts.answer())
    return found


def test_a_chat_answer_has_its_text_its_end_and_its_usage() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    last = event({"object": "chat.completion.chunk", "choices": [], "usage": usage})
    whole = joined(
        chunk(role="assistant", content=None), chunk(content="He"), chunk(content="llo"), chunk("stop"), last
    )
    assert whole["object"] == "chat.completion"
    assert whole["choices"] == [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello"}}
    ]
    assert (whole["id"], whole["usage"]) == ("c1", usage)


def test_calls_of_tools_are_put_together_by_their_number() -> None:
    def call(number: int, **fields: object) -> bytes:
        return chunk(tool_calls=[{"index": number, **fields}])

    whole = joined(
        chunk(role="assistant", content=None),
        call(0, id="a", type="function", function={"name": "look", "arguments": ""}),
        call(0, function={"arguments": '{"x":'}),
        call(1, id="b", type="function", function={"name": "see", "arguments": "{"}),
        call(0, function={"arguments": "1}"}),
        call(1, function={"arguments": "}"}),
        chunk("tool_calls"),
    )
    assert whole["choices"][0]["message"] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "look", "arguments": '{"x":1}'}},
            {"id": "b", "type": "function", "function": {"name": "see", "arguments": "{}"}},
        ],
    }


def test_logprobs_of_both_shapes_are_one_list() -> None:
    def of_chat(token: str, finish: str | None = None) -> bytes:
        told = {"content": [{"token": token, "logprob": -1.0, "top_logprobs": []}]}
        return event(
            {"choices": [{"index": 0, "delta": {"content": token}, "logprobs": told, "finish_reason": finish}]}
        )

    content = joined(of_chat("a"), of_chat("b", "length"))["choices"][0]["logprobs"]["content"]
    assert [each["token"] for each in content] == ["a", "b"]

    def of_prompt(token: str, finish: str | None = None) -> bytes:
        told = {"tokens": [token], "token_logprobs": [-1.0]}
        choice = {"index": 0, "text": token, "logprobs": told, "finish_reason": finish}
        return event({"object": "text_completion", "choices": [choice]})

    whole = joined(of_prompt("a"), of_prompt("b", "stop"))
    assert whole["object"] == "text_completion"
    assert whole["choices"][0]["text"] == "ab"
    assert whole["choices"][0]["logprobs"] == {"tokens": ["a", "b"], "token_logprobs": [-1.0, -1.0]}


def test_an_error_in_the_middle_is_the_error_of_the_whole() -> None:
    told = {"error": {"code": 400, "type": "exceed_context_size_error", "n_prompt_tokens": 9, "n_ctx": 4}}
    with pytest.raises(ErrorInStream) as broken:
        joined(chunk(content="a"), event(told))
    assert (broken.value.status, json.loads(broken.value.body)) == (400, told)
    with pytest.raises(ErrorInStream) as broken:
        joined(event({"error": "out of memory"}))
    assert broken.value.status == 502


@pytest.mark.parametrize(
    "stream", [b"", chunk(content="half"), b"data: {\n\n", b"data: 3\n\n", event({"choices": [3]})]
)
def test_what_is_no_whole_answer_is_never_taken_for_one(stream: bytes) -> None:
    with pytest.raises(NotJoined):
        joined(stream)
