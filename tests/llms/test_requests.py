"""Requests of the OpenAI API: what is refused with its field, and what reaches an engine or an endpoint."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.llms.errors import BadRequest, of_upstream
from plimsoll.llms.requests import Asked, Kind, read_request, written
from plimsoll.llms.settings import EndpointSettings, LlmSettings

HERE = LlmSettings(engine="llama.cpp", tokens=100)
THERE = LlmSettings(engine="endpoint", tokens=100, endpoint=EndpointSettings(url="https://a.test/v1", model="big"))
SAY = [{"role": "user", "content": "hi"}]


def chat(**fields: object) -> Asked:
    return read_request("chat", json.dumps({"model": "writer", "messages": SAY, **fields}).encode())


def sent(asked: Asked, settings: LlmSettings = HERE, adapters: list[str] | None = None) -> dict[str, object]:
    found = json.loads(written(asked, settings, adapters or []))
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"model": None}, "model", "`model` is missing"),
        ({"model": 7}, "model", "`model` is missing"),
        ({"messages": None}, "messages", "at least one message"),
        ({"messages": []}, "messages", "at least one message"),
        ({"messages": "hi"}, "messages", "at least one message"),
        ({"messages": ["hi"]}, "messages[0]", "no object with a `role`"),
        ({"messages": [{"role": "boss", "content": "hi"}]}, "messages[0].role", "'boss' is none"),
        ({"messages": [{"content": "hi"}]}, "messages[0].role", "there is none"),
        ({"messages": [*SAY, {"role": "user"}]}, "messages[1].content", "no `content`"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content", "no `content`"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content", "has no `text`"),
        ({"messages": [{"role": "user", "content": [7]}]}, "messages[0].content", "no object with a `type`"),
        ({"stream": "yes"}, "stream", "true or false"),
        ({"stream_options": {"include_usage": True}}, "stream_options", "for `stream: true`"),
        ({"n": 2}, "n", "one answer"),
        ({"max_tokens": 0}, "max_tokens", "1 or more"),
        ({"max_tokens": True}, "max_tokens", "1 or more"),
        ({"max_completion_tokens": -1}, "max_completion_tokens", "1 or more"),
        ({"temperature": 3}, "temperature", "from 0 to 2"),
        ({"top_p": "most"}, "top_p", "from 0 to 1"),
        ({"seed": 1.5}, "seed", "whole number"),
        ({"stop": ["a", ""]}, "stop", "1 to 4 texts"),
        ({"stop": 7}, "stop", "1 to 4 texts"),
        ({"response_format": {"type": "xml"}}, "response_format", "json_schema"),
        ({"response_format": {"type": "json_schema"}}, "response_format", "no `json_schema` with a `schema`"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, object], param: str, words: str) -> None:
    with pytest.raises(BadRequest) as caught:
        chat(**fields)
    assert caught.value.param == param
    assert words in str(caught.value)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null", b"\xff", b"[" * 5000])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest, match="JSON"):
        read_request("chat", body)


FIELDS = [
    "model",
    "messages",
    "prompt",
    "stream",
    "stop",
    "n",
    "seed",
    "max_tokens",
    "response_format",
    "stream_options",
]
VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.lists(st.integers() | st.text(max_size=2))


@given(st.dictionaries(st.sampled_from(FIELDS), VALUES))
def test_any_object_is_read_or_refused(fields: dict[str, object]) -> None:
    kinds: tuple[Kind, ...] = ("chat", "completion")
    for kind in kinds:
        try:
            asked = read_request(kind, json.dumps(fields).encode())
            written(asked, HERE, [])
        except BadRequest as bad:
            assert str(bad)


@pytest.mark.parametrize("prompt", [None, "", [], ["a", "b"], [""], 7, [1, "a"], [True]])
def test_a_prompt_is_one_text_or_tokens(prompt: object) -> None:
    with pytest.raises(BadRequest) as caught:
        read_request("completion", json.dumps({"model": "writer", "prompt": prompt}).encode())
    assert caught.value.param == "prompt"


def test_an_answer_has_the_tokens_of_its_request_and_never_more_than_the_limit() -> None:
    assert sent(chat())["max_tokens"] == 100
    assert sent(chat(max_tokens=7))["max_tokens"] == 7
    assert sent(chat(max_completion_tokens=8)) == {"model": "writer", "messages": SAY, "max_tokens": 8}
    with pytest.raises(BadRequest, match="100 tokens at most, and the request asks for 101"):
        sent(chat(max_tokens=101))


@pytest.mark.parametrize(
    "field", ["n_predict", "id_slot", "lora", "cache_prompt", "grammar", "ignore_eos", "t_max_predict_ms"]
)
def test_fields_of_the_engine_that_go_round_the_limits_are_refused(field: str) -> None:
    with pytest.raises(BadRequest) as caught:
        sent(chat(**{field: 1}))
    assert caught.value.param == field


def test_what_says_something_of_the_caller_does_not_reach_an_engine() -> None:
    assert sent(chat(user="me", metadata={"a": "b"}, store=True)).keys() == {"model", "messages", "max_tokens"}


def test_an_adapter_is_on_for_the_requests_that_name_it_and_off_for_the_others() -> None:
    def scales(model: str, adapters: list[str]) -> object:
        return sent(chat(model=model), HERE, adapters)["lora"]

    assert scales("writer", ["style", "tone"]) == [{"id": 0, "scale": 0.0}, {"id": 1, "scale": 0.0}]
    assert scales("tone", ["style", "tone"]) == [{"id": 0, "scale": 0.0}, {"id": 1, "scale": 1.0}]
    assert scales("writer", [""]) == [{"id": 0, "scale": 1.0}]


def test_an_endpoint_is_asked_for_its_own_model_with_all_fields_and_within_the_limit() -> None:
    found = sent(chat(user="me", logit_bias={}, verbosity="low"), THERE)
    assert found["model"] == "big"
    assert (found["user"], found["verbosity"], found["max_tokens"]) == ("me", "low", 100)
    assert sent(chat(max_completion_tokens=5), THERE).keys() == {"model", "messages", "max_completion_tokens"}
    with pytest.raises(BadRequest):
        sent(chat(max_tokens=101), THERE)


def test_the_usage_of_a_stream_is_always_asked_for() -> None:
    asked = chat(stream=True)
    assert not asked.with_usage
    assert sent(asked)["stream_options"] == {"include_usage": True}
    assert chat(stream=True, stream_options={"include_usage": True}).with_usage


@pytest.mark.parametrize(
    ("status", "error", "expected", "code", "words"),
    [
        (400, {"type": "exceed_context_size_error", "n_prompt_tokens": 9, "n_ctx": 5, "message": "m"}, 400,
         "context_length_exceeded", "the question has 9 tokens, and the context of this model is 5"),
        (400, {"message": "Field 'x' is wrong"}, 400, None, "Field 'x' is wrong"),
        (401, {"message": "Incorrect API key provided: sk-1234"}, 502, "upstream_refuses_key", "refuses the key"),
        (404, {"message": "no model big"}, 502, "upstream_failed", "no model big"),
        (429, {"message": "slow down", "code": "rate_limit_exceeded"}, 429, "rate_limit_exceeded", "slow down"),
        (500, {"message": "image input is not supported - hint: mmproj"}, 400, "unsupported", "image input is not supported"),
        (503, "no object", 502, "upstream_failed", "status 503"),
    ],
)  # fmt: skip
def test_what_an_engine_or_endpoint_refuses_is_told_in_the_shape_of_the_api(
    status: int, error: object, expected: int, code: str | None, words: str
) -> None:
    found = of_upstream(status, json.dumps({"error": error}).encode(), "it")
    assert (found.status, found.code) == (expected, code)
    assert words in str(found)
    assert "sk-1234" not in str(found)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error": 1}', b'{"error": {"message": 7, "param": 1}}'])
def test_an_error_in_any_other_shape_is_one_too(body: bytes) -> None:
    assert "status 418" in str(of_upstream(418, body, "it"))
