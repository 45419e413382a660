"""The file of tokens: changed by several at once, without a token lost."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from plimsoll.errors import TargetError
from plimsoll.locks import locked_file
from plimsoll.runtime.server.identities import token_file
from plimsoll.runtime.server.identities.token_file import create, read_token_file, revoke

MAKE = "import sys; from pathlib import Path; from plimsoll.runtime.server.identities.token_file import create; "


def test_tokens_that_are_made_at_the_same_time_are_all_there(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    argv = [
        sys.executable,
        "-c",
        MAKE + "[create(Path(sys.argv[1]), f'{sys.argv[2]}-{n}', ('infer',), None) for n in range(5)]",
    ]
    makers = [subprocess.Popen([*argv, str(file), name]) for name in ("a", "b")]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: create(file, f"c-{n}", ("infer",), None), range(20)))
    assert [maker.wait(50) for maker in makers] == [0, 0]
    names = {token.name for token in read_token_file(file).tokens}
    assert names == {f"{name}-{n}" for name in "ab" for n in range(5)} | {f"c-{n}" for n in range(20)}


def test_a_token_that_is_revoked_meanwhile_stays_revoked(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    for n in range(10):
        create(file, f"old-{n}", ("infer",), None)
    with ThreadPoolExecutor(4) as pool:
        made = pool.map(lambda n: create(file, f"new-{n}", ("infer",), None), range(10))
        taken = pool.map(lambda n: revoke(file, f"old-{n}"), range(10))
        assert len(list(made)) + len(list(taken)) == 20
    assert {token.name for token in read_token_file(file).tokens} == {f"new-{n}" for n in range(10)}


def test_one_who_holds_the_file_up_is_told_and_not_waited_for_forever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_file, "PATIENCE", 0.1)
    with (
        locked_file(tmp_path / ".tokens.json.lock") as locked,
        pytest.raises(TargetError, match="another has changed the tokens for more than"),
    ):
        assert locked
        create(tmp_path / "tokens.json", "a", ("infer",), None)


def test_a_file_that_is_not_there_has_no_token_to_revoke_and_gets_no_lock(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="cannot be read"):
        revoke(tmp_path / "tokens.json", "a")
    assert list(tmp_path.iterdir()) == []
