"""Tokens of a file, limits by caller, and names of hosts: without a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from plimsoll.errors import TargetError
from plimsoll.runtime.server.hosts import KnownHosts
from plimsoll.runtime.server.identities import token_file
from plimsoll.runtime.server.identities.bearers import TokenBearers
from plimsoll.runtime.server.identities.gate import gate_of
from plimsoll.runtime.server.identities.limits import Limiter
from plimsoll.runtime.server.identities.places import until_left
from plimsoll.runtime.server.identities.settings import AuthSettings, CallerLimits, read_settings
from plimsoll.runtime.server.identities.shares import Shares
from plimsoll.runtime.server.memory import Memory
from plimsoll.runtime.server.reading import Reading
from plimsoll.runtime.server.refusals import Busy, TooLarge, TooMany, Unauthenticated
from plimsoll.runtime.server.responses import Response, Stream


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def refused(limiter: Limiter, caller: str = "ada", size: int = 0) -> int | None:
    try:
        limiter.enter(caller, size).leave()
    except TooMany as refusal:
        return refusal.retry_after
    return None


def test_a_caller_gets_its_rate_and_another_one_its_own() -> None:
    clock = Clock()
    limiter = Limiter(CallerLimits(rate=2), clock)
    assert [refused(limiter) for _ in range(3)] == [None, None, 1]
    assert refused(limiter, "bea") is None
    clock.now += 0.5
    assert [refused(limiter) for _ in range(2)] == [None, 1]


def test_a_rate_below_one_says_how_long_to_wait() -> None:
    limiter = Limiter(CallerLimits(rate=0.1), Clock())
    assert [refused(limiter), refused(limiter)] == [None, 10]


def test_a_body_longer_than_the_bytes_of_a_second_passes_and_is_paid_for() -> None:
    clock = Clock()
    limiter = Limiter(CallerLimits(bytes=100), clock)
    assert [refused(limiter, size=1000), refused(limiter)] == [None, 9]
    clock.now += 9.5
    assert refused(limiter) is None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_places_are_given_back_also_by_answers_that_nobody_waits_for() -> None:
    limiter = Limiter(CallerLimits(concurrent=1), Clock())
    place = limiter.enter("ada", 0)
    assert refused(limiter) == 1

    async def never() -> Response:
        raise AssertionError

    coroutine = until_left(place, never())
    del place
    coroutine.close()
    del coroutine
    assert refused(limiter) is None


def test_a_stream_keeps_its_place_until_it_is_closed() -> None:
    limiter = Limiter(CallerLimits(concurrent=1), Clock())

    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"

    async def begun() -> Stream:
        return Stream(pieces(), b"text/plain")

    async def asked() -> None:
        stream = await until_left(limiter.enter("ada", 0), begun())
        assert isinstance(stream, Stream)
        assert refused(limiter) == 1
        await stream.pieces.aclose()  # type: ignore[attr-defined]  # it is a generator
        assert refused(limiter) is None

    asyncio.run(asked())


def test_the_memory_of_callers_is_bounded_and_who_is_served_is_not_forgotten() -> None:
    limiter = Limiter(CallerLimits(concurrent=1), Clock(), most=10)
    place = limiter.enter("ada", 0)
    for number in range(100):
        assert refused(limiter, f"c{number}") is None
    assert len(limiter) == 10
    assert refused(limiter) == 1
    place.leave()


def test_a_token_is_nowhere_in_the_file_and_ends_when_it_says(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    lasting = token_file.create(path, "shop", ("infer",), None)
    over = token_file.create(path, "old", ("admin",), datetime.now(UTC) - timedelta(seconds=1))
    assert lasting not in path.read_text()
    bearers = TokenBearers(path)
    caller = bearers.caller(lasting)
    assert caller is not None
    assert (caller.name, caller.roles) == ("token:shop", frozenset({"infer"}))
    assert bearers.caller(over) is None
    assert bearers.caller(lasting + "x") is None
    token_file.revoke(path, "shop")
    bearers.look()
    assert bearers.caller(lasting) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"tokens": [{"name": "a", "sha256": "00", "roles": ["infer"]}]}',
        b'{"tokens": [{"name": "a", "sha256": "%s", "roles": []}]}' % (b"0" * 64),
        b'{"tokens": [{"name": "a", "sha256": "%s", "roles": ["root"]}]}' % (b"0" * 64),
        b'{"tokens": [{"name": "a", "sha256": "%s", "roles": ["infer"], "token": "x"}]}' % (b"0" * 64),
        b"\xff" * 100,
        b"[" * 100_000,
    ],
)
def test_what_is_no_file_of_tokens_is_told_and_never_lets_anybody_in(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tokens.json"
    path.write_bytes(content)
    with pytest.raises(TargetError) as told:
        TokenBearers(path)
    assert told.value.where == str(path)


@pytest.mark.parametrize("name", ["", "a b", "../x", "-a", "a" * 200, "é"])
def test_a_name_that_is_none_makes_no_token(tmp_path: Path, name: str) -> None:
    with pytest.raises(TargetError, match="cannot be called"):
        token_file.create(tmp_path / "tokens.json", name, ("infer",), None)
    assert not list(tmp_path.iterdir())


def test_two_tokens_of_one_name_are_refused_with_what_to_do(tmp_path: Path) -> None:
    token_file.create(tmp_path / "t.json", "shop", ("infer",), None)
    with pytest.raises(TargetError) as told:
        token_file.create(tmp_path / "t.json", "shop", ("infer",), None)
    assert "plimsoll token revoke shop" in told.value.hint


@pytest.mark.parametrize(
    "written", ["Basic x", "Bearer", "Bearer  ", "plimsoll_x", "Bearer a, Bearer b", "bearer \xfc"]
)
def test_other_headers_are_no_proof(tmp_path: Path, written: str) -> None:
    token_file.create(tmp_path / "t.json", "shop", ("infer",), None)
    gate = gate_of(AuthSettings(tokens=str(tmp_path / "t.json")), None)
    assert gate is not None
    with pytest.raises(Unauthenticated):
        gate.enter({"authorization": written}, "infer")


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"tokens": 1}', '{"jwt": {"issuer": "http://a.b", "audience": "m"}}']
)
def test_an_option_that_says_nothing_starts_no_server(text: str) -> None:
    with pytest.raises(TargetError, match="--auth"):
        read_settings(text)


@pytest.mark.parametrize(
    ("host", "is_known"),
    [("models.example", True), ("MODELS.example:8080", True), ("localhost", False), ("10.0.0.1", False), ("", False)],
)
def test_a_server_that_goes_by_some_names_answers_for_no_other(host: str, is_known: bool) -> None:
    assert (KnownHosts("0.0.0.0", only=["models.example"]).stranger({"host": host}) == "") == is_known


def test_a_caller_holds_its_share_of_the_memory_and_no_more() -> None:
    shares = Shares(100, 2)
    ada = shares.of("ada")
    assert ada.change(100)
    assert not ada.change(1)
    ada.change(-1)
    with pytest.raises(TooMany, match="may hold 100 bytes together"):
        ada.reserve(1)
    with pytest.raises(TooLarge):
        ada.reserve(101)
    assert shares.of("bea").change(60)
    # Whoever holds something is not forgotten while another can be.
    shares.of("bea").change(-60)
    shares.of("cid")
    assert shares.of("ada") is ada


def test_tensors_that_are_read_count_as_their_callers_and_are_given_back() -> None:
    everybody, share = Memory(1000), Shares(100, 10).of("ada")
    with Reading(everybody, float("inf"), share) as reading:
        reading.reserve(90)
        with pytest.raises(TooMany):
            reading.reserve(20)
        assert (everybody.held, share.held) == (90, 90)
    assert (everybody.held, share.held) == (0, 0)
    everybody.change(990)
    with Reading(everybody, float("inf"), share) as reading, pytest.raises(Busy):
        reading.reserve(50)
    assert share.held == 0
