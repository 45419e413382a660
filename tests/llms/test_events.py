"""Events of a streamed answer: cut anywhere, they come out whole, and without what nobody has asked for."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.llms.events import DONE, MOST_HELD, Events, TooLong, Usage, usage_in


def event(**fields: object) -> bytes:
    return b"data: " + json.dumps(fields, separators=(",", ":")).encode() + b"\n\n"


ROLE = event(choices=[{"delta": {"role": "assistant", "content": None}}])
WORDS = [event(choices=[{"delta": {"content": word}}]) for word in ("a", ' "usage"', "ü\n\n")]
USAGE = event(
    choices=[], usage={"prompt_tokens": 5, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}}
)
STREAM = b"".join([ROLE, *WORDS, USAGE, DONE])


def passed(stream: bytes, cuts: list[int], *, with_usage: bool) -> tuple[bytes, Events]:
    events = Events(with_usage=with_usage)
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return b"".join(events.take(stream[a:b]) for a, b in itertools.pairwise(places)), events


@given(st.lists(st.integers(0, 10_000)), st.booleans())
def test_a_stream_that_is_cut_anywhere_comes_out_whole(cuts: list[int], with_usage: bool) -> None:
    came, events = passed(STREAM, cuts, with_usage=with_usage)
    assert came == (STREAM if with_usage else STREAM.replace(USAGE, b""))
    assert events.usage == Usage(prompt_tokens=5, completion_tokens=3, cached_tokens=2)
    assert (events.tokens, events.done) == (3, True)


@pytest.mark.parametrize(
    ("delta", "tokens"),
    [
        ({"content": "a"}, 1), ({"content": ""}, 0), ({"content": None}, 0), ({"role": "assistant"}, 0),
        ({"reasoning_content": "a"}, 1), ({"tool_calls": [{"index": 0}]}, 1), ({}, 0),
    ],
)  # fmt: skip
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_an_event_counts_as_a_token_when_it_has_content(
    delta: dict[str, object], tokens: int, separators: tuple[str, str]
) -> None:
    written = json.dumps({"choices": [{"delta": delta}]}, separators=separators).encode()
    _, events = passed(b"data: " + written + b"\n\n", [], with_usage=True)
    assert events.tokens == tokens


def test_lines_that_end_as_on_other_machines_are_read_too() -> None:
    came, events = passed(STREAM.replace(b"\n", b"\r\n"), [50, 51, 52], with_usage=False)
    assert came == STREAM.replace(USAGE, b"")
    assert events.done


def test_usage_beside_a_choice_goes_to_the_client_all_the_same() -> None:
    last = event(choices=[{"delta": {}, "finish_reason": "stop"}], usage={"prompt_tokens": 1, "completion_tokens": 1})
    came, events = passed(last, [], with_usage=False)
    assert came == last
    assert events.usage == Usage(prompt_tokens=1, completion_tokens=1)


def test_a_stream_that_breaks_off_is_not_done_and_half_an_event_is_kept_back() -> None:
    came, events = passed(ROLE + WORDS[0][:-5], [], with_usage=True)
    assert came == ROLE
    assert not events.done


def test_an_event_without_an_end_is_given_up() -> None:
    with pytest.raises(TooLong):
        passed(b"x" * (MOST_HELD + 2), [], with_usage=True)


@pytest.mark.parametrize("answer", [b"", b"[]", b'{"usage": 7}', b'{"usage": null}', b'{"choices": 1}'])
def test_an_answer_without_usage_has_none(answer: bytes) -> None:
    assert usage_in(answer) == (None, False)
