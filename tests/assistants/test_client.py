"""The client of language models against services that answer well, badly, slowly and not at all."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from plimsoll.errors import RequestError
from plimsoll.llms.client import ChatRequest, ChatService, ChatStream, Ended, Message
from tests.assistants.chat_server import Chat, Reply, chat_server, says
from tests.servers import free_port

SECRET = "sk-secret-7391"


def request(**changes: Any) -> ChatRequest:
    settings: dict[str, Any] = {"model": "m", "messages": [Message("user", "hi")], "tokens": 9, "seconds": 20.0}
    return ChatRequest(**(settings | changes))


def ask(url: str, key: str = "", **changes: Any) -> tuple[list[str], Ended | None]:
    service = ChatService(url=url, key=key, key_hint="check the value of $LLM_KEY") if key else ChatService(url=url)
    stream = ChatStream(service, request(**changes))
    return list(stream), stream.ended


def test_the_pieces_come_as_they_are_sent_with_the_tokens_that_were_counted() -> None:
    with chat_server(says("Change", " the\u2028 seal.")) as server:
        assert ask(server.url, key=SECRET) == (
            ["Change", " the\u2028 seal."],
            Ended(finish="stop", prompt_tokens=50, tokens=7),
        )
    [asked] = server.asked
    assert (asked["model"], asked["max_tokens"], asked["stream"], asked["temperature"]) == ("m", 9, True, 0.0)
    assert server.headers[0]["authorization"] == f"Bearer {SECRET}"


def test_where_an_answer_is_to_stop_is_sent_with_the_question() -> None:
    with chat_server(says("a")) as server:
        ask(server.url, stop=("<passage ",))
        ask(server.url)
    assert [each.get("stop") for each in server.asked] == [["<passage "], None]


def test_an_answer_that_is_cut_at_its_limit_of_tokens_says_so() -> None:
    with chat_server(says("a", finish="length")) as server:
        assert ask(server.url)[1] == Ended(finish="length", prompt_tokens=50, tokens=7)


def whole(chat: Chat, _: dict[str, Any]) -> None:
    chat.begin(kind="application/json")
    chat.send(b'{"choices": [{"message": {"content": "All at once."}, "finish_reason": "stop"}]}')


def test_a_service_that_does_not_stream_is_understood_too() -> None:
    with chat_server(whole) as server:
        assert ask(server.url)[0] == ["All at once."]


def refuses(status: int, body: bytes, **headers: str) -> Reply:
    def reply(chat: Chat, _: dict[str, Any]) -> None:
        chat.begin(status, "application/json", **headers)
        chat.send(body)

    return reply


def sends(*parts: bytes) -> Reply:
    def reply(chat: Chat, _: dict[str, Any]) -> None:
        chat.begin()
        for part in parts:
            chat.send(part)

    return reply


PIECE = b'data: {"choices": [{"delta": {"content": "Change"}}]}\n\n'


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (refuses(401, b'{"error": {"message": "bad key sk-secret-7391"}}'), "refuses the key: bad key …"),
        (refuses(404, b'{"error": {"message": "no model m"}}'), "is not there: no model m"),
        (refuses(429, b'{"detail": "slow down"}'), "has no room for now: slow down"),
        (refuses(400, b'{"error": "context too long"}'), "refuses the question: context too long"),
        (refuses(502, b"<html>"), "refuses the question: no reason given"),
        (refuses(307, b"", Location="https://other.test/v1"), "leads elsewhere, to https://other.test/v1"),
        (sends(PIECE), "answer was cut off"),
        (sends(PIECE, b"data: {nonsense\n\n"), "no answer of the OpenAI API"),
        (sends(b'data: {"choices": 7}\n\n'), "no answer of the OpenAI API"),
        (sends(PIECE, b'data: {"error": {"message": "out of memory"}}\n\n'), "fails: out of memory"),
    ],
)
def test_each_refusal_is_one_sentence_without_the_key(reply: Reply, message: str) -> None:
    with chat_server(reply) as server, pytest.raises(RequestError) as refused:
        ask(server.url, key=SECRET)
    assert message in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(("status", "key", "words"), [(401, "", "wants a key"), (403, SECRET, "refuses the key")])
def test_what_to_do_about_a_key_is_said_as_the_caller_would_do_it(status: int, key: str, words: str) -> None:
    with chat_server(refuses(status, b'{"error": {"message": "no"}}')) as server:
        service = ChatService(url=server.url, key=key, key_hint="set HERE", host="llm.test")
        with pytest.raises(RequestError, match=words) as refused:
            list(ChatStream(service, request()))
        assert refused.value.hint == "set HERE"
        assert server.headers[-1]["host"] == "llm.test"


def test_a_service_that_is_not_there_is_named() -> None:
    url = f"http://127.0.0.1:{free_port()}/v1"
    with pytest.raises(RequestError, match="the language model does not answer") as refused:
        ask(url)
    assert refused.value.where == url


def test_an_answer_ends_at_its_limit_of_time_though_pieces_go_on_coming() -> None:
    def forever(chat: Chat, _: dict[str, Any]) -> None:
        chat.begin()
        while True:
            chat.piece("and ")

    ticks = itertools.count(0.0, 1.0)
    with chat_server(forever) as server:
        stream = ChatStream(ChatService(url=server.url), request(seconds=5.0), lambda: next(ticks))
        pieces = list(stream)
    assert pieces
    assert stream.ended == Ended(finish="time")


def test_a_service_that_says_nothing_is_not_waited_for_longer_than_the_limit() -> None:
    held = threading.Event()

    def silent(chat: Chat, _: dict[str, Any]) -> None:
        held.wait(30)

    with chat_server(silent) as server:
        with pytest.raises(RequestError, match=r"did not begin to answer within 0\.3 s"):
            ask(server.url, seconds=0.3)
        held.set()


def test_whoever_stops_reading_ends_the_request() -> None:
    left = threading.Event()

    def talks(chat: Chat, _: dict[str, Any]) -> None:
        chat.begin()
        try:
            while True:
                chat.piece("word " * 200)
        except OSError:
            left.set()

    with chat_server(talks) as server:
        pieces: Iterator[str] = iter(ChatStream(ChatService(url=server.url), request()))
        next(pieces)
        pieces.close()  # type: ignore[attr-defined]  # it is a generator
        assert left.wait(20)
