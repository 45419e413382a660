"""Who may change a server, and whose pages may ask it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from plimsoll.errors import TargetError
from plimsoll.runtime.server.admin_token import make_token_file
from plimsoll.runtime.server.administration import Administration
from plimsoll.runtime.server.heads import BadHead, read_head
from plimsoll.runtime.server.hosts import KnownHosts
from plimsoll.runtime.server.refusals import Forbidden


def asked(token_file: Path | None, headers: dict[str, str]) -> str:
    """The reason for which a call is refused; empty when it is not."""
    try:
        asyncio.run(Administration(token_file).check(headers))
    except Forbidden as refusal:
        return str(refusal)
    return ""


def test_without_a_token_nobody_may_change_the_server() -> None:
    assert "start it with --admin-token-file" in asked(None, {"authorization": "Bearer "})


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Bearer x", "Basic {token}", "{token}", "Bearer {token}x", "Bearer ü"]
)
def test_another_token_is_refused(tmp_path: Path, header: str | None) -> None:
    make_token_file(tmp_path / "token")
    token = (tmp_path / "token").read_text().strip()
    headers = {} if header is None else {"authorization": header.format(token=token)}
    assert "Authorization: Bearer TOKEN" in asked(tmp_path / "token", headers)


def test_the_token_of_the_file_is_accepted_also_after_it_was_replaced(tmp_path: Path) -> None:
    make_token_file(tmp_path / "token")
    first = (tmp_path / "token").read_text().strip()
    make_token_file(tmp_path / "token")
    assert asked(tmp_path / "token", {"authorization": f"bearer {first}"}) == ""
    (tmp_path / "token").write_text("another token, longer\n")
    assert asked(tmp_path / "token", {"authorization": f"Bearer {first}"})
    assert asked(tmp_path / "token", {"authorization": "Bearer another token, longer"}) == ""


@pytest.mark.parametrize("content", [None, "", "\n", "short", "\xff" * 20])
def test_a_file_without_a_token_lets_nobody_in(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "token").write_bytes(content.encode("latin-1"))
    assert "no token" in asked(tmp_path / "token", {"authorization": f"Bearer {(content or '').strip()}"})


@pytest.mark.parametrize("made", ["read by all", "a link", "a directory"])
def test_a_token_that_is_no_secret_is_refused_with_what_to_do(tmp_path: Path, made: str) -> None:
    path = tmp_path / "wear.token"
    if made == "read by all":
        path.write_text("a token that everybody knows")
        path.chmod(0o644)
    elif made == "a link":
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.mkdir()

    with pytest.raises(TargetError, match="is no secret") as refused:
        make_token_file(path)
    assert refused.value.where == str(path)
    assert f"rm {path}" in refused.value.hint


def test_an_empty_file_gets_a_token(tmp_path: Path) -> None:
    path = tmp_path / "wear.token"
    path.touch(0o600)
    make_token_file(path)
    assert len(path.read_text().strip()) > 40
    assert [each.name for each in tmp_path.iterdir()] == ["wear.token"]


def test_only_the_owner_reads_a_new_token(tmp_path: Path) -> None:
    make_token_file(tmp_path / "token")
    assert (tmp_path / "token").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:80", "[::1]:80", "::1", "a.localhost", None])
def test_this_machine_is_known_by_its_names(host: str | None) -> None:
    headers = {} if host is None else {"host": host}
    assert KnownHosts("127.0.0.1").refusal(headers) == ""
    assert KnownHosts("::1").refusal({**headers, "origin": "http://localhost:3000"}) == ""


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "evil.example:8080"},
        {"host": "127.0.0.1.evil.example"},
        {"host": "localhost.evil.example"},
        {"host": "127.0.0.1, evil.example"},
        {"host": ""},
        {"host": "127.0.0.1:80", "origin": "http://evil.example"},
        {"host": "127.0.0.1:80", "origin": "null"},
        {"host": "127.0.0.1:80", "origin": ""},
        {"host": "127.0.0.1:80", "origin": "https://localhost.evil.example:443"},
        {"host": "127.0.0.1:80", "origin": "http://localhost@evil.example"},
    ],
)
def test_other_names_and_pages_of_others_are_refused(headers: dict[str, str]) -> None:
    refusal = KnownHosts("127.0.0.1").refusal(headers)
    assert "--allow-host" in refusal


def test_a_name_can_be_allowed() -> None:
    hosts = KnownHosts("127.0.0.1", ["models.example"])
    assert hosts.refusal({"host": "Models.example:80", "origin": "https://models.example"}) == ""


def test_a_server_for_other_machines_goes_by_any_name() -> None:
    assert KnownHosts("0.0.0.0").refusal({"host": "models.example", "origin": "http://app.example"}) == ""


@pytest.mark.parametrize(
    "path", ["/v2/%72epository/index", "/v2%2Frepository/index", "/v2/repositor%79/index", "/v2/x/%2e%2E/m", "/%7e"]
)
def test_a_path_is_written_in_one_way_only(path: str) -> None:
    with pytest.raises(BadHead, match="percent-encoded"):
        read_head(f"POST {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())


def test_a_name_may_have_what_needs_an_encoding() -> None:
    assert read_head(b"GET /v2/models/a%20b%C3%BC HTTP/1.1\r\nHost: h\r\n\r\n").path == "/v2/models/a bü"
