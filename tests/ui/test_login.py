"""A page for several people: they log in with tokens of a file, and may look or act as these say."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from plimsoll.cli.verbs.ui import command as ui_command
from plimsoll.errors import PlimsollError
from plimsoll.runtime.server.identities import token_file
from plimsoll.ui.guard import HEADERS
from plimsoll.ui.login import LIFETIME, LOOK_EVERY, Login
from plimsoll.ui.rooms import Rooms
from plimsoll.ui.web import application
from tests.authority import Authority
from tests.browser import chromium
from tests.ui.journals import write_run

PORT = 4711
HOST = f"10.0.0.7:{PORT}"
ORIGIN = {"origin": f"http://{HOST}", "sec-fetch-site": "same-origin"}
UI = [sys.executable, "-m", "plimsoll", "ui"]


class People:
    """A server with tokens for who may look, who may act, and who may do neither; the clock is the test's."""

    def __init__(self, directory: Path, rooms: Rooms, **settings: object) -> None:
        self.file = directory / "tokens.json"
        self.look, self.act, self.infer = (
            token_file.create(self.file, role, (role,), None) for role in ("metrics", "admin", "infer")
        )
        self.now = 0.0
        self.login = Login(self.file, "10.0.0.7", PORT, clock=lambda: self.now, **settings)  # type: ignore[arg-type]
        self.app = application(rooms, port=PORT, login=self.login)

    @contextlib.contextmanager
    def browser(self, token: str | None = None) -> Iterator[TestClient]:
        client = TestClient(self.app, base_url=f"http://{HOST}", follow_redirects=False)
        if token is not None:
            answer = client.post("/login", data={"token": token}, headers=ORIGIN)
            assert (answer.status_code, answer.headers["location"]) == (303, "/")
        yield client


@pytest.fixture
def rooms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rooms]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    write_run(tmp_path / "app", 1)
    found = Rooms([tmp_path / "app"])
    yield found
    found.close()


@pytest.fixture
def people(tmp_path: Path, rooms: Rooms) -> Iterator[People]:
    found = People(tmp_path, rooms)
    # The rooms are followed as long as the first client is open.
    with TestClient(found.app, base_url=f"http://{HOST}"):
        yield found


def test_who_has_not_logged_in_sees_the_page_and_nothing_of_anybody(people: People) -> None:
    with people.browser() as client:
        assert client.get("/").status_code == 200
        for path in ("/api/places", "/api/events"):
            assert client.get(path).status_code == 401
        for cookie in ("x", "", "a" * 5000, 'x"; y'):
            client.cookies.set(f"plimsoll-ui-{PORT}", cookie)
            assert client.get("/api/places").status_code == 401


def test_a_login_sets_a_cookie_that_no_script_and_no_other_site_has(people: People) -> None:
    with people.browser() as client:
        answer = client.post("/login", data={"token": people.look}, headers=ORIGIN)
        cookie = answer.headers["set-cookie"].lower()
        assert people.look.lower() not in cookie
        for word in ("httponly", "samesite=strict", "path=/", f"max-age={LIFETIME}"):
            assert word in cookie
        assert client.get("/api/places").json()["places"][0]["id"] == "app"
        assert client.get("/login").headers["location"] == "/"


def test_over_https_the_cookie_is_for_https_alone(tmp_path: Path, rooms: Rooms) -> None:
    people = People(tmp_path, rooms, secure=True)
    with TestClient(people.app, base_url=f"https://{HOST}", follow_redirects=False) as client:
        own = {"origin": f"https://{HOST}"}
        answer = client.post("/login", data={"token": people.look}, headers=own)
    assert answer.headers["set-cookie"].startswith(f"__Host-plimsoll-ui-{PORT}=")
    assert "secure" in answer.headers["set-cookie"].lower()


@pytest.mark.parametrize("token", ["", "wrong", "x" * 20_000, "<b>&'", "\u00fc"])
def test_a_wrong_token_gets_the_form_again_and_no_cookie(people: People, token: str) -> None:
    with people.browser() as client:
        answer = client.post("/login", data={"token": token}, headers=ORIGIN)
        assert answer.status_code in {401, 413}
        assert "set-cookie" not in answer.headers
        assert "<b>" not in answer.text
        assert 'role="alert"' in answer.text
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "form-action 'self'" in policy
        for name in HEADERS.keys() - {"content-security-policy", "referrer-policy"}:
            assert answer.headers[name] == HEADERS[name]


def test_roles_say_who_may_look_and_who_may_act(people: People) -> None:
    act = {"act": "rollback", "service": "s", "confirmed": "s"}
    with people.browser(people.look) as client:
        assert client.get("/api/places").status_code == 200
        refused = client.post("/api/app/acts", json=act, headers=ORIGIN)
        assert (refused.status_code, "the role admin" in refused.json()["error"]["message"]) == (403, True)
    with people.browser(people.act) as client:
        assert client.post("/api/app/acts", json=act, headers=ORIGIN).status_code != 403
    with people.browser() as client:
        answer = client.post("/login", data={"token": people.infer}, headers=ORIGIN)
        assert (answer.status_code, "lacks the role metrics" in answer.text) == (403, True)


def test_programs_send_the_token_as_a_header(people: People) -> None:
    with people.browser() as client:
        for token, status in ((people.look, 200), (people.infer, 403), ("wrong", 401)):
            assert client.get("/api/places", headers={"authorization": f"Bearer {token}"}).status_code == status
    with people.browser(people.look) as client:
        # What is sent with a request counts, and not what the browser is worth.
        assert client.get("/api/places", headers={"authorization": "Bearer wrong"}).status_code == 401


def test_a_revoked_token_a_logout_and_a_long_time_end_a_session(people: People) -> None:
    with people.browser(people.look) as client:
        people.now += LIFETIME
        assert client.get("/api/places").status_code == 401
    with people.browser(people.look) as client:
        mark = client.cookies[f"plimsoll-ui-{PORT}"]
        assert client.post("/logout", headers=ORIGIN).headers["location"] == "/login"
        client.cookies.set(f"plimsoll-ui-{PORT}", mark)
        assert client.get("/api/places").status_code == 401
    with people.browser(people.look) as client:
        token_file.revoke(people.file, "metrics")
        people.now += LOOK_EVERY
        assert client.get("/api/places").status_code == 401


def test_other_pages_may_neither_log_in_nor_act_nor_log_out(people: People) -> None:
    others = (
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": f"https://{HOST}"},
        {"origin": f"http://10.0.0.7:{PORT + 1}"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"},
    )
    with people.browser(people.act) as client:
        for headers in others:
            for path in ("/login", "/logout", "/api/app/acts"):
                assert client.post(path, json={}, headers=headers).status_code == 403, (path, headers)
        for host in ("evil.example", f"evil.example:{PORT}", "10.0.0.7", f"10.0.0.8:{PORT}", ""):
            assert client.get("/api/places", headers={"host": host}).status_code == 421


def test_a_server_of_all_addresses_goes_by_each_address_and_by_no_strangers_name(tmp_path: Path, rooms: Rooms) -> None:
    people = People(tmp_path, rooms)
    login = Login(people.file, "0.0.0.0", PORT, ("Page.example",))
    for host in ("10.9.8.7", "[fd00::1]", "127.0.0.1", "localhost", "page.example"):
        assert login.knows_host(f"{host}:{PORT}"), host
    for host in ("evil.example", "10.9.8.7.evil.example", ""):
        assert not login.knows_host(f"{host}:{PORT}"), host


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--host", "0.0.0.0"], "name its file with --tokens"),
        (["--host", "::"], "the page asks nobody who they are"),
        (["--host", "127.0.0.2"], "a page without tokens goes by 127.0.0.1 alone"),
        (["--tokens", "none.json"], "plimsoll token create"),
        (["--tokens", "infer.json"], "no token of the file has the role metrics or admin"),
        (["--tokens", "look.json", "--certificate", "a.pem"], "name both"),
        (
            ["--tokens", "look.json", "--certificate", "a.pem", "--key", "b.pem"],
            "a.pem: the certificate cannot be read",
        ),
    ],
)
def test_a_page_that_everybody_could_use_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    write_run(tmp_path, 1)
    token_file.create(tmp_path / "infer.json", "a", ("infer",), None)
    token_file.create(tmp_path / "look.json", "a", ("metrics",), None)
    monkeypatch.chdir(tmp_path)
    ended = CliRunner().invoke(ui_command, [*arguments])
    assert isinstance(ended.exception, PlimsollError)
    assert words in str(ended.exception) + ended.exception.hint
    assert ended.stdout == ""


@contextlib.contextmanager
def serving(directory: Path, *arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    process = subprocess.Popen(
        [*UI, *arguments, "--json"], cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ.copy(),
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield str(json.loads(process.stdout.readline())["url"]), process
        process.send_signal(signal.SIGINT)
        assert process.wait(50) == 0
    finally:
        process.kill()
        process.communicate()


def test_a_stream_ends_with_the_token_of_its_reader_and_pages_are_encrypted(tmp_path: Path) -> None:
    write_run(tmp_path, 1)
    authority = Authority(tmp_path / "ca", "bank")
    certificate, key = authority.issue("page", "127.0.0.1", client=False)
    token = token_file.create(tmp_path / "tokens.json", "ada", ("metrics",), None)
    encrypted = ("--certificate", str(certificate), "--key", str(key))
    with serving(tmp_path, "--tokens", "tokens.json", *encrypted) as (url, _):
        assert url.startswith("https://127.0.0.1:")
        assert "#token" not in url
        context = ssl.create_default_context(cafile=str(authority.path))
        asked = urllib.request.Request(f"{url}api/events", headers={"authorization": f"Bearer {token}"})
        with urllib.request.urlopen(asked, timeout=50, context=context) as stream:
            token_file.revoke(tmp_path / "tokens.json", "ada")
            with contextlib.suppress(OSError, http.client.HTTPException):
                while stream.read(1):
                    pass


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs a browser (apt-get install chromium)")
def test_somebody_logs_in_looks_and_logs_out_in_a_browser(tmp_path: Path) -> None:
    write_run(tmp_path, 1, {"loss": 0.25}, application="triage")
    token = token_file.create(tmp_path / "tokens.json", "ada", ("metrics",), None)
    with serving(tmp_path, "--tokens", "tokens.json") as (url, _), chromium() as tab:
        tab.open(url)
        tab.wait_for("location.pathname === '/login' && document.readyState === 'complete'")
        fill = "document.getElementById('token').value = {}; document.querySelector('form').requestSubmit()"
        tab.run(fill.format(json.dumps("wrong")))
        tab.wait_for("document.querySelector('[role=alert]') && document.body.innerText.includes('not known')")
        tab.problems.clear()
        tab.run(fill.format(json.dumps(token)))
        tab.wait_for("location.pathname === '/' && document.querySelector('table')")
        assert "triage" in tab.text()
        assert tab.run("document.cookie") == ""
        assert tab.run("localStorage.getItem('plimsoll-token')") is None
        tab.run("[...document.querySelectorAll('button')].find((each) => each.textContent === 'Log out').click()")
        tab.wait_for("location.pathname === '/login'")
        assert not [each for each in tab.problems if "401" not in each]
