"""What looks like a credential, or is one of this process, is not recorded."""

from __future__ import annotations

import pytest

from plimsoll.evidence.run_events import AttemptFailed, StepEnded, run_observed
from plimsoll.evidence.secrets import REMOVED, secret_values, without_secrets

VALUE = "planted5ecretvalue"


@pytest.mark.parametrize(
    "name",
    ["MY_API_TOKEN", "PASSWORD", "aws_secret_access_key", "HF_TOKEN", "DB_PASSWD", "SIGNING_KEY", "GH_PAT", "X_AUTH"],
)
def test_the_value_of_a_variable_that_is_a_credential_is_removed(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, VALUE)
    assert without_secrets({"reason": [f"it said {VALUE}!"]}) == {"reason": [f"it said {REMOVED}!"]}


def test_other_variables_paths_and_short_values_are_kept() -> None:
    environment = {
        "HOME": "/root/home",
        "SSL_KEY": "/etc/key.pem",
        "TOKEN_COUNT": "123456789",
        "A_TOKEN": "short",
        "LANG": VALUE,
    }
    assert secret_values(environment) == ()


@pytest.mark.parametrize(
    "text",
    [
        f"password={VALUE}",
        f"--api-key {'='} {VALUE}",
        "https://ada:planted5ecret@example.com/x",
        f"Authorization: Bearer {VALUE}",
        f"ghp_{VALUE * 2}",
        f"hf_{VALUE}",
    ],
)
def test_what_looks_like_a_credential_is_removed(text: str) -> None:
    assert "planted5ecret" not in str(without_secrets(text))


def test_the_words_of_a_step_are_recorded_without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_TOKEN", VALUE)
    failed = run_observed("target", "train/m", AttemptFailed(attempt=1, reason=f"exit 3: {VALUE}"))
    ended = run_observed("engine", "train/m", StepEnded(state="failed", reason=VALUE, result={"notes": [VALUE]}))
    assert VALUE not in str(failed.fact) + str(ended.fact)
    assert failed.fact["reason"] == f"exit 3: {REMOVED}"


def test_a_secret_that_the_environment_gets_later_is_removed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert without_secrets(["it said other-5ecret-value"]) == ["it said other-5ecret-value"]
    monkeypatch.setenv("LATER_TOKEN", "other-5ecret-value")
    assert without_secrets(["it said other-5ecret-value"]) == [f"it said {REMOVED}"]


def test_the_shortest_text_with_a_credential_loses_it() -> None:
    assert REMOVED in without_secrets("://a:b@")
