"""What every error leaves out."""

from __future__ import annotations

import pytest

from plimsoll.errors import TargetError, without_queries


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see https://store.example/a/b.csv?sig=abc%2F&x=1.", "see https://store.example/a/b.csv?…"),
        ("'s3://bucket/key?versionId=1' and \"http://h/?a\"", "'s3://bucket/key?…' and \"http://h/?…\""),
        ("http://127.0.0.1:1/#token?x=1", "http://127.0.0.1:1/#token?x=1"),
        ("is it there? no ://?", "is it there? no ://?"),
        ("https://store.example/a?", "https://store.example/a?"),
    ],
)
def test_an_address_is_told_without_its_query(text: str, shown: str) -> None:
    assert without_queries(text) == shown


def test_no_part_of_an_error_has_a_query() -> None:
    error = TargetError("http://a/?s=1 answered", where="http://b/?s=2", hint="ask http://c/?s=3")
    assert str(error) == "http://b/?…: http://a/?… answered\n  ask http://c/?…"
    assert error.args == (error.message,)
    assert "s=" not in str(error.as_json()) + error.on_one_line()
