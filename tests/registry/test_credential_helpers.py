"""Programs that know the credentials of registries: what they print, how long they take, and what they leave behind."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from plimsoll.errors import TargetError
from plimsoll.registry import credential_helpers
from plimsoll.registry.credentials import find_credentials

REGISTRY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"


def config(directory: Path, monkeypatch: pytest.MonkeyPatch, script: str, **words: object) -> Path:
    """A Docker configuration that names a helper, which is this script."""
    helper = directory / "docker-credential-cloud"
    helper.write_text(f"#!/bin/sh\n{script}\n")
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    path = directory / "config.json"
    path.write_text(json.dumps(words or {"credHelpers": {REGISTRY: "cloud"}}))
    return path


ANSWER = """read server; echo "a warning" >&2; printf '{"ServerURL":"%s","Username":"AWS","Secret":"s"}' "$server" """


@pytest.mark.parametrize(
    "words", [{"credHelpers": {REGISTRY: "cloud"}}, {"credsStore": "cloud", "auths": {REGISTRY: {}}}]
)
def test_a_helper_of_a_registry_or_of_all_gives_its_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: dict[str, object]
) -> None:
    found = find_credentials(REGISTRY, "shop/x", config(tmp_path, monkeypatch, ANSWER, **words))
    assert (found.username, found.password) == ("AWS", "s")


def test_an_identity_token_is_told_from_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = """printf '{"Username":"<token>","Secret":"t"}'"""
    assert find_credentials(REGISTRY, "", config(tmp_path, monkeypatch, script)).identity_token == "t"


def test_a_helper_without_credentials_leaves_access_anonymous_and_its_words_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "echo 'credentials not found'; printf 'log in: aws sso login\\033[2J' >&2; exit 1"
    found = find_credentials(REGISTRY, "", config(tmp_path, monkeypatch, script))
    assert not found
    assert found.problem.startswith(
        "docker-credential-cloud gave no credentials: credentials not found log in: aws sso"
    )
    assert "\033" not in found.problem


def test_a_helper_that_does_not_end_is_ended_with_what_it_has_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credential_helpers, "LIMIT", 0.5)
    path = config(tmp_path, monkeypatch, f"sleep 600 & echo $! > {tmp_path}/child; wait")
    with pytest.raises(TargetError, match=r"did not answer within 0\.5 s") as refused:
        find_credentials(REGISTRY, "", path)
    assert f"echo {REGISTRY} | docker-credential-cloud get" in refused.value.hint
    child = Path("/proc", (tmp_path / "child").read_text().strip())
    deadline = time.monotonic() + 10
    while child.exists() and "zombie" not in (child / "status").read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not child.exists() or "zombie" in (child / "status").read_text()


def test_a_helper_that_leaves_a_process_behind_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = find_credentials(REGISTRY, "", config(tmp_path, monkeypatch, f"sleep 600 &\n{ANSWER}"))
    assert found.password == "s"


def test_a_helper_that_prints_without_an_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = config(tmp_path, monkeypatch, "head -c 10000000 /dev/zero")
    with pytest.raises(TargetError, match="answered with more than 65536 bytes"):
        find_credentials(REGISTRY, "", path)


def test_a_helper_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = config(tmp_path, monkeypatch, ANSWER, credHelpers={REGISTRY: "ecr-login-that-is-not-there"})
    with pytest.raises(TargetError, match="docker-credential-ecr-login-that-is-not-there is not on PATH"):
        find_credentials(REGISTRY, "", path)


def test_an_answer_that_is_no_object_is_refused_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TargetError, match="cannot read the registry credentials") as refused:
        find_credentials(REGISTRY, "", config(tmp_path, monkeypatch, "echo hello"))
    assert "config.json" in refused.value.where
