"""Who may ask the server what, and what it answers to those who may."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient

from plimsoll.signing.keys import KeyRing
from plimsoll.state.directory import StateDirectory
from plimsoll.state.lock import RunLock
from plimsoll.ui import acts as acts_module
from plimsoll.ui.guard import HEADERS
from plimsoll.ui.rooms import Rooms
from plimsoll.ui.web import ANSWERS, STATIC, application, page_routes
from tests.capabilities.bundled import bundle_of
from tests.ui.journals import run_id, write_run

TOKEN, PORT = "the-token", 4711
HOST = f"127.0.0.1:{PORT}"
BEARER = {"authorization": f"Bearer {TOKEN}"}
FILE = next(route.path for route in page_routes() if route.path.endswith("/app.js"))


@pytest.fixture
def rooms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rooms]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    directory = tmp_path / "app"
    for number in (1, 2):
        write_run(directory, number, {"loss": float(number)})
    state = StateDirectory(directory)
    state.log(run_id(1), "train/triage", 1, 0).write_text("one\ntwo\n")
    found = Rooms([directory])
    yield found
    found.close()


@pytest.fixture
def client(rooms: Rooms) -> Iterator[TestClient]:
    with TestClient(application(rooms, token=TOKEN, port=PORT), base_url=f"http://{HOST}") as found:
        yield found


def get(client: TestClient, path: str, **headers: str) -> httpx2.Response:
    answer: httpx2.Response = client.get(path, headers={**BEARER, **headers})
    return answer


def eventually(found: Callable[[], Any]) -> Any:
    until = time.monotonic() + 20
    while not (value := found()):
        assert time.monotonic() < until
        time.sleep(0.02)
    return value


ADDRESSES = [
    path.format(
        place="app",
        run=run_id(1),
        first="1",
        second="2",
        reference="m@1",
        other="m@2",
        service="s",
        check="c",
        requirement="r",
    )
    for path in ANSWERS
]


def test_nothing_of_anybody_is_told_without_the_token(client: TestClient) -> None:
    for path in (*ADDRESSES, "/api/events"):
        for given in (None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x"):
            answer = client.get(path, headers={} if given is None else {"authorization": given})
            assert answer.status_code == 401, (path, given)
            assert set(answer.json()["error"]) == {"message", "where", "hint"}


def test_a_name_that_leads_a_browser_here_gets_nothing(client: TestClient) -> None:
    for host in ("evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:80", "", f"[::1]:{PORT}"):
        for path in ("/", FILE, "/api/places"):
            assert get(client, path, host=host).status_code == 421, (host, path)


OTHERS = (
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://127.0.0.1:8080"},
    {"origin": f"https://{HOST}"},
    {"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"},
    {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
    {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "script"},
)


def test_other_pages_may_not_use_the_server_even_with_the_token(client: TestClient) -> None:
    for headers in OTHERS:
        assert get(client, "/api/places", **headers).status_code == 403, headers
        body = {"act": "stop", "confirmed": "app"}
        assert client.post("/api/app/acts", json=body, headers={**BEARER, **headers}).status_code == 403, headers


def test_its_own_page_may(client: TestClient) -> None:
    own = {"origin": f"http://{HOST}", "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}
    assert get(client, "/api/places", **own).json()["places"][0]["id"] == "app"
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert client.get("/", headers=link).status_code == 200


def test_every_answer_holds_the_browser_to_the_page(client: TestClient) -> None:
    for path in ("/", FILE, "/api/places", "/nowhere", "/../../etc/passwd"):
        answer = client.get(path)
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
        assert "set-cookie" not in answer.headers
        assert "access-control-allow-origin" not in answer.headers
    policy = HEADERS["content-security-policy"]
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")


def test_the_page_is_small_and_loads_nothing_from_elsewhere() -> None:
    files = [path for path in STATIC.iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 500_000
    for path in files:
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text, path
        assert "https://" not in text, path
        for word in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "new Function", 'style="'):
            assert word not in text, (path, word)


ABSENT = (
    "/api/nowhere/runs",
    "/api/app/runs/nothing",
    "/api/app/runs/1/log?name=../../../lock",
    "/api/app/runs/1/log?name=/etc/passwd",
    "/api/app/runs/..%2F..%2F..%2Fetc/log?name=passwd",
    "/api/app/runs/1/log?name=train/triage/1-0.log&from=-1",
    "/api/app/runs?limit=many",
    "/api/app/runs?offset=99999999999999999999",
    "/api/app/compare/1/3",
    "/api/app/models/none@1",
    "/api/app/checks/none",
    "/api/app/checks/..",
)


def test_what_is_not_there_is_an_error_with_a_sentence(client: TestClient) -> None:
    for path in ABSENT:
        answer = get(client, path)
        assert answer.status_code in (400, 404), (path, answer.text)
        if answer.status_code == 400:
            assert answer.json()["error"]["message"]


def test_runs_figures_curves_and_logs_come_in_pages(client: TestClient) -> None:
    page = eventually(
        lambda: (found := get(client, "/api/app/runs?column=triage%20loss").json())["total"] == 2 and found
    )
    assert [(row["number"], row["figures"]) for row in page["rows"]] == [
        (2, {"triage loss": 2.0}),
        (1, {"triage loss": 1.0}),
    ]
    assert get(client, "/api/app/runs/1/figures?text=LOSS").json() == {"total": 1, "figures": [["triage loss", 1.0]]}
    assert get(client, "/api/app/runs/1/curves").json() == {"charts": [], "total": 0, "unread": 0, "left_out": 0}
    log = get(client, "/api/app/runs/1/log?name=train/triage/1-0.log").json()
    assert log == {"text": "one\ntwo\n", "begin": 0, "end": 8, "size": 8}
    assert get(client, "/api/app/runs/1/log?name=train/triage/1-0.log&find=two").json() == {"begin": 4}
    compared = get(client, "/api/app/compare/1/2?differing=true").json()
    assert compared["figures"] == [["triage loss", 1.0, 2.0]]


def test_a_bundle_is_shown_as_it_is_judged_again_and_what_was_altered_is_named(
    client: TestClient, rooms: Rooms, tmp_path: Path
) -> None:
    bundle = bundle_of(tmp_path / "app" / "plimsoll-lab", KeyRing(tmp_path / "config" / "plimsoll" / "keys"))
    (row,) = get(client, "/api/app/checks").json()["checks"]
    assert (row["name"], row["musts"] > 5) == ("plimsoll-lab", True)
    page = get(client, "/api/app/checks/plimsoll-lab").json()
    assert page["problems"] == []
    shown = next(each for each in page["verdicts"] if each["observations"])
    evidence = get(client, f"/api/app/checks/plimsoll-lab/{shown['requirement']}?limit=2").json()
    assert (evidence["total"], len(evidence["lines"])) == (shown["observations"], min(2, shown["observations"]))
    (bundle / "inventory.jsonl").write_bytes((bundle / "inventory.jsonl").read_bytes() + b"\n")
    assert "inventory.jsonl" in str(get(client, "/api/app/checks/plimsoll-lab").json()["problems"])


WRONG: tuple[tuple[object, str], ...] = (
    ({"act": "stop", "confirmed": ""}, "not confirmed"),
    ({"act": "stop", "confirmed": "other"}, "not confirmed"),
    ({"act": "promote", "reference": "m@2", "confirmed": "m@1"}, "not confirmed"),
    ({"act": "promote", "confirmed": "app"}, "needs 'reference'"),
    ({"act": "delete", "confirmed": "app"}, "no act 'delete'"),
    ({"act": "promote", "reference": "m@2", "confirmed": "m@2", "steps": [50, 10]}, "percentages"),
    ({"act": "stop", "confirmed": "app", "force": True}, "no act"),
    ([], "no act"),
)


def test_an_act_needs_all_that_it_is_about_and_its_confirmation(client: TestClient) -> None:
    for body, said in WRONG:
        answer = client.post("/api/app/acts", json=body, headers=BEARER)
        assert answer.status_code == 400
        assert said in answer.json()["error"]["message"]
    assert get(client, "/api/app/acts").json() == {"acts": []}


def test_an_act_that_a_form_could_send_is_refused(client: TestClient) -> None:
    text = '{"act": "stop", "confirmed": "app"}'
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        assert client.post("/api/app/acts", content=text, headers={**BEARER, "content-type": kind}).status_code == 415
    assert client.post("/api/app/acts", content=b"x" * 100_000, headers=BEARER).status_code == 413
    assert client.get("/api/app/acts", headers=BEARER).json() == {"acts": []}


def test_an_act_ends_with_what_the_verb_says(client: TestClient) -> None:
    def ended(body: dict[str, object]) -> Any:
        assert client.post("/api/app/acts", json=body, headers=BEARER).status_code == 202
        return eventually(
            lambda: (newest := get(client, "/api/app/acts").json()["acts"][0])["state"] != "running" and newest
        )

    stopped = ended({"act": "stop", "confirmed": "app"})
    assert (stopped["state"], stopped["lines"]) == ("done", ["nothing is running here"])
    refused = ended({"act": "promote", "reference": "triage@2", "confirmed": "triage@2"})
    assert refused["state"] == "failed"
    assert "there is no model 'triage'" in refused["error"]["message"]
    back = ended({"act": "rollback", "service": "triage", "confirmed": "triage"})
    assert "no service is running by the name triage" in back["error"]["message"]


def test_one_act_of_a_place_goes_on_at_a_time_and_can_be_interrupted(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def carry_out(_: object, __: object, say: Callable[[str], None], stopped: Callable[[], bool]) -> bool:
        say("5 % of the requests go to m@2")
        return not eventually(stopped)

    monkeypatch.setattr(acts_module, "_carry_out", carry_out)
    body = {"act": "promote", "reference": "m@2", "confirmed": "m@2"}
    number = client.post("/api/app/acts", json=body, headers=BEARER).json()["id"]
    refused = client.post("/api/app/acts", json=body, headers=BEARER)
    assert "'promote' of m@2 goes on here" in refused.json()["error"]["message"]
    assert client.post("/api/acts/99/interrupt", headers=BEARER).status_code == 400
    assert client.post(f"/api/acts/{number}/interrupt", headers=BEARER).status_code == 200
    newest = eventually(lambda: (act := get(client, "/api/app/acts").json()["acts"][0])["state"] == "failed" and act)
    assert newest["lines"] == ["5 % of the requests go to m@2"]


def test_a_run_that_holds_the_lock_is_live(client: TestClient, tmp_path: Path) -> None:
    lock = RunLock(StateDirectory(tmp_path / "app").lock)
    lock.acquire(run_id(2), "app")
    assert eventually(lambda: get(client, "/api/app/runs/2").json()["live"])
    assert get(client, "/api/app/runs/1").json()["live"] is False
    lock.release()


def test_a_file_that_the_browser_has_is_not_asked_for_again(client: TestClient) -> None:
    page = client.get("/")
    assert page.headers["cache-control"] == "no-cache"
    files = re.findall(r'(?:href|src)="([^"#]+)"', page.text)
    assert files
    for file in files:
        first = client.get(f"/{file}")
        assert first.status_code == 200, file
        assert "immutable" in first.headers["cache-control"]
        again = client.get(f"/{file}", headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_what_the_first_page_needs_is_asked_for_at_once() -> None:
    page, needed = (STATIC / "index.html").read_text(), ["app.js"]
    for name in needed:
        assert f'"files/{name}"' in page, name
        imported = re.findall(r'^import .* from "\./(.+)";$', (STATIC / name).read_text(), re.MULTILINE)
        needed += [each for each in imported if each not in needed]
    assert len(needed) == page.count('.js"')


def test_the_page_begins_with_one_answer(client: TestClient) -> None:
    begun = get(client, "/api/start?limit=1").json()
    assert begun["places"] == get(client, "/api/places").json()["places"]
    assert begun["runs"] == {"place": "app", "rows": get(client, "/api/app/runs?limit=1").json()}
    assert get(client, "/api/start?place=nowhere").json()["runs"] is None
