"""Credentials do not get into records, whatever carries them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.evidence.secrets import REMOVED, without_secrets

TOKEN = "eyJhbGciOiJSUzI1NiIsImtpZCI6Im.eyJpc3MiOiJrdWJlcm5ldGVzL3Nl.c2lnbmF0dXJlLXdpdGgtYnl0ZXM"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"token {TOKEN} was refused", TOKEN),
        ("Authorization: Bearer abcdef0123456789", "abcdef0123456789"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----", "MIIE"),
        ("password=hunter22 and more", "hunter22"),
        ('{"api_key": "sk-12345678"}', "sk-12345678"),
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI", "wJalrXUtnFEMI"),
        ("key AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
        ("pull https://user:pass1234@registry/x", "pass1234"),
    ],
)
def test_what_looks_like_a_credential_is_removed_and_what_surrounds_it_stays(text: str, secret: str) -> None:
    found = without_secrets({"log": [text], "deep": ({"x": text},)})
    assert secret not in str(found)
    assert REMOVED in found["log"][0]


def test_ordinary_words_stay() -> None:
    for text in ("336/400 at 84 %", "secret santa", "the token ring", "weights-1", "sha256:0123456789abcdef"):
        assert without_secrets(text) == text


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False), st.lists))
def test_values_without_text_stay_as_they_are(value: object) -> None:
    assert without_secrets(value) == value
