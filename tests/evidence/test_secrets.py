"""What looks like a credential, or is one of this process, is not recorded."""

from __future__ import annotations

import pytest

from plimsoll.evidence import secrets
from plimsoll.evidence.file_secrets import is_secret_name, values_in
from plimsoll.evidence.run_events import AttemptFailed, StepEnded, run_observed
from plimsoll.evidence.secrets import REMOVED, remember, secret_values, without_secrets

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


@pytest.mark.parametrize(
    "document",
    [
        {"run": f"HF_TOKEN={VALUE} python train.py"},
        {"run": f"python train.py --api-key {VALUE} --epochs 3"},
        {"run": f"python train.py --db-password='{VALUE}'"},
        {"run": f'env DB_PASSWORD="{VALUE}" sh -c \'x'},
        {"source": f"https://ada:{VALUE}@example.com/data.csv"},
        {"source": f"https://example.com/data.csv?x=1&access_token={VALUE}"},
        {"env": {"OPENAI_API_KEY": VALUE}},
        {"env": [{"name": "HF_TOKEN", "value": VALUE}]},
        {"secret": {"value": VALUE}},
        {"options": [["dbPassword", {"password": [VALUE]}]]},
    ],
)
def test_a_credential_in_the_file_is_known_by_the_name_beside_it(document: object) -> None:
    assert VALUE in set(values_in({"spec": document}))


@pytest.mark.parametrize(
    "document",
    [
        {"run": f"python train.py --tokenizer {VALUE} --max-tokens {VALUE}"},
        {"run": f"python train.py --token-file {VALUE} --secret-name={VALUE}"},
        {"run": f"python train.py --auth --model {VALUE}"},
        {"source": f"https://example.com/{VALUE}?version={VALUE}"},
        {"description": f"the token of {VALUE}", "env": {"LANG": VALUE, "KEY": VALUE}},
        {"source": f"https://[{VALUE}/"},
    ],
)
def test_what_has_another_name_is_no_credential(document: object) -> None:
    assert VALUE not in set(values_in(document))


def test_names_of_credentials_are_words_of_a_name() -> None:
    assert all(map(is_secret_name, ["token", "GH_PAT", "x-auth", "apiKey", "aws_secret_access_key", "PGPASSWORD"]))
    assert not any(
        map(is_secret_name, ["", "tokenizer", "pattern", "key", "author", "compass", "token_count", "keyboard"])
    )


def test_what_stands_in_a_file_is_removed_from_what_its_steps_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_of_files", set())
    remember({"run": f"HF_TOKEN={VALUE} sh train.sh --secret short --token /etc/a/token"})

    failed = run_observed("target", "train/m", AttemptFailed(attempt=1, reason=f"{VALUE} and short: /etc/a/token"))

    assert failed.fact["reason"] == f"{REMOVED} and short: /etc/a/token"


def test_a_secret_that_the_environment_gets_later_is_removed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert without_secrets(["it said other-5ecret-value"]) == ["it said other-5ecret-value"]
    monkeypatch.setenv("LATER_TOKEN", "other-5ecret-value")
    assert without_secrets(["it said other-5ecret-value"]) == [f"it said {REMOVED}"]


def test_the_shortest_text_with_a_credential_loses_it() -> None:
    assert REMOVED in without_secrets("://a:b@")
