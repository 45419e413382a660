"""Searches over HTTP: what is found, who sees it, and what happens while a new version takes over."""

from __future__ import annotations

import asyncio
import inspect
import json
import signal
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from plimsoll.errors import PlimsollError
from plimsoll.files import digest_of_file
from plimsoll.runtime.server.administration import Administration
from plimsoll.runtime.server.catalog import Catalog
from plimsoll.runtime.server.data_plane import DataPlane
from plimsoll.runtime.server.fronts.mount import Mount
from plimsoll.runtime.server.fronts.table import mount
from plimsoll.runtime.server.heads import read_head
from plimsoll.runtime.server.observers import Answer, Observer, Observers
from plimsoll.runtime.server.responses import Reply, Response
from plimsoll.runtime.server.service_file import ModelFile, ServiceFile
from tests.indexes.building import build_registered, document
from tests.runtime.conftest import ADMIN, TOKEN, Server, until

SEARCH = "/v2/indexes/manuals/search"
INFER = "/v2/models/indexes.manuals/infer"
SECRET = "xyzzyplugh"
DOCUMENTS = [
    document("leak", "The pump has an oil leak."),
    document("bill", "The invoice is overdue.", "office"),
    document("secret", f"The oil leak was {SECRET}.", "board"),
]


def version(index: Path, number: str = "1") -> ModelFile:
    return ModelFile(
        name="indexes.manuals",
        version=number,
        path=str(index),
        files={str(index): digest_of_file(index)},
        index=True,
    )


class Seeing(Observer):
    def __init__(self) -> None:
        self.seen: list[Answer] = []

    sees_changes = True

    def answered(self, answers: Any) -> None:
        self.seen += answers


def serving(
    index: Path, token: Path | None = TOKEN, observers: Observers | None = None, changes: Path | None = None
) -> Mount:
    content = ServiceFile(models=(version(index),))
    catalog = Catalog(lambda: content, changes=changes)
    made = mount(DataPlane(catalog, observers, None, Administration(token)))
    catalog.load_first()
    return made


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_registered(tmp_path_factory.mktemp("index") / "1", DOCUMENTS)


@pytest.fixture(scope="module")
def mounted(index: Path) -> Mount:
    return serving(index)


def ask(mounted: Mount, method: str, path: str, body: object = None, **headers: str) -> tuple[int, bytes]:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = read_head(f"{method} {path} HTTP/1.1\r\nhost: h\r\n{lines}content-length: 0\r\n\r\n".encode())
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def response() -> Response:
        reply: Reply = mounted.respond(head, content, "here")
        found = await reply if inspect.isawaitable(reply) else reply
        assert isinstance(found, Response)
        return found

    answer = asyncio.run(response())
    return answer.status, answer.body if isinstance(answer.body, bytes) else b"".join(map(bytes, answer.body))


def found(mounted: Mount, body: object, **headers: str) -> list[str]:
    status, content = ask(mounted, "POST", SEARCH, body, **headers)
    assert status == 200, content
    return [hit["id"] for hit in json.loads(content)["hits"]]


def test_a_passage_is_found_by_its_meaning_with_its_place(mounted: Mount) -> None:
    status, content = ask(mounted, "POST", SEARCH, {"query": "oil", "top": 1})
    answer = json.loads(content)
    assert (status, answer["index"], answer["version"]) == (200, "manuals", "1")
    [hit] = answer["hits"]
    assert hit.pop("score") > 0.5
    text = "The pump has an oil leak."
    assert hit == {"id": "leak", "source": "leak.txt", "start": 0, "end": len(text), "text": text}


def test_each_way_to_search_is_the_callers_choice(mounted: Mount) -> None:
    assert found(mounted, {"query": "payment", "search": "lexical"}) == []
    assert found(mounted, {"query": "noise", "search": "dense"}) == ["leak"]


def test_labels_count_with_the_token_of_the_service_and_each_sees_her_own(mounted: Mount) -> None:
    ask_oil = {"query": "oil leak invoice", "top": 10}
    assert set(found(mounted, ask_oil)) == {"leak"}
    assert set(found(mounted, ask_oil, **ADMIN)) == {"leak"}, "a token without labels is no label"
    assert set(found(mounted, {**ask_oil, "access": []}, **ADMIN)) == {"leak"}
    assert set(found(mounted, {**ask_oil, "access": ["office"]}, **ADMIN)) == {"leak", "bill"}
    assert set(found(mounted, {**ask_oil, "access": ["office", "board"]}, **ADMIN)) == {"leak", "bill", "secret"}


def test_a_server_without_a_token_searches_nothing_that_has_a_label(index: Path) -> None:
    open_server = serving(index, token=None)
    status, content = ask(open_server, "POST", SEARCH, {"query": "oil", "access": ["board"]}, **ADMIN)
    assert (status, b"--admin-token-file" in content) == (403, True)
    assert found(open_server, {"query": "oil leak"}) == ["leak"]


def attempts() -> list[tuple[str, str, object, dict[str, str]]]:
    """Ways to ask for the text of another: by the body, by headers, by paths, and through other fronts."""
    oil: dict[str, object] = {"query": f"oil leak {SECRET}", "top": 1000}
    labelled: list[object] = [
        ["board"],
        ["*"],
        ["board", "office"],
        "board",
        {"board": True},
        [["board"]],
        [""],
        None,
        [],
    ]
    tries: list[tuple[str, str, object, dict[str, str]]] = [
        ("POST", SEARCH, {**oil, "access": a}, {}) for a in labelled
    ]
    token = ADMIN["authorization"].partition(" ")[2]
    for given in ("Bearer x", token, f"Basic {token}", f"Bearer {token}x", f"Bearer {token[:-1]}", "Bearer"):
        tries.append(("POST", SEARCH, {**oil, "access": ["board"]}, {"authorization": given}))
    for name in ("x-access", "access", "x-forwarded-user", "x-forwarded-groups", "x-remote-user", "x-roles", "cookie"):
        tries.append(("POST", SEARCH, oil, {name: "board"}))
    tries.append(("POST", SEARCH, oil, {"x-authorization": ADMIN["authorization"], "x-access": "board"}))
    for word in ("labels", "groups", "group", "filter", "as", "user", "all"):
        tries.append(("POST", SEARCH, {**oil, word: ["board"]}, {}))
    tries += [
        ("POST", f"{SEARCH}?access=board", oil, {}),
        ("POST", f"{SEARCH}?access=board&authorization={token}", oil, {}),
        ("POST", SEARCH, b'{"query": "oil leak", "access": [], "access": ["board"]}', {}),
        ("POST", SEARCH, b'{"query": "oil leak", "\\u0061ccess": ["board"]}', {}),
        ("POST", SEARCH, {**oil, "search": "exact"}, {}),
        ("POST", SEARCH, {"query": "access:board OR id:secret", "top": 1000}, {}),
        ("POST", "/v2/indexes/MANUALS/search", oil, {}),
        ("POST", "/v2/indexes//search", oil, {}),
        ("POST", "/v2/indexes/manuals/../manuals/search", oil, {}),
        ("GET", "/v2/indexes/manuals", None, {}),
        ("GET", "/v2/indexes/manuals/documents/secret", None, {}),
        ("GET", "/", None, {}),
        ("GET", "/metrics", None, {}),
        ("GET", "/v2/models/indexes.manuals", None, {}),
    ]
    query = {"name": "query", "datatype": "BYTES", "shape": [1], "data": [f"oil leak {SECRET}"]}
    for parameters in ({}, {"access": ["board"]}, {"labels": ["board"]}, {"top": 1000}):
        tries.append(("POST", INFER, {"inputs": [query], "parameters": parameters}, {}))
        tries.append(("POST", INFER, {"inputs": [query], "parameters": parameters}, dict(ADMIN)))
    labels = {"name": "access", "datatype": "BYTES", "shape": [1], "data": ["board"]}
    tries.append(("POST", INFER, {"inputs": [query, labels]}, {}))
    return tries


def test_an_attacker_who_asks_in_fifty_ways_reads_no_text_of_another(mounted: Mount) -> None:
    tries = attempts()
    assert len(tries) >= 50
    for method, path, body, headers in tries:
        status, content = ask(mounted, method, path, body, **headers)
        assert status < 500, (method, path, body, headers, content)
        hits = content.replace(f"oil leak {SECRET}".encode(), b"")
        assert SECRET.encode() not in hits, (method, path, body, headers)
        assert b'"secret"' not in hits, (method, path, body, headers)


def test_what_is_no_search_is_refused_with_what_is_wrong(mounted: Mount) -> None:
    wrong: list[tuple[object, str]] = [
        (b"rubbish", "the body is not what is asked for"),
        ({"top": 3}, "missing required field `query`"),
        ({"query": "oil", "top": 0}, "$.top"),
        ({"query": "x" * 40_000}, "$.query"),
        ({"query": "oil", "search": "fuzzy"}, "$.search"),
    ]
    for body, why in wrong:
        status, content = ask(mounted, "POST", SEARCH, body)
        assert (status, why in content.decode()) == (400, True), content
    status, content = ask(mounted, "POST", "/v2/indexes/other/search", {"query": "oil"})
    assert (status, b"there is no model 'indexes.other'" in content) == (404, True)
    assert ask(mounted, "GET", SEARCH)[0] == 405


def test_searches_are_counted_and_audited_like_inferences_also_those_that_are_refused(index: Path) -> None:
    seeing = Seeing()
    observers = Observers([seeing])
    mounted = serving(index, observers=observers)
    found(mounted, {"query": "oil"})
    ask(mounted, "POST", SEARCH, {"query": "oil", "access": ["board"]})
    page = ask(mounted, "GET", "/metrics")[1]
    observers.close()
    assert b'plimsoll_requests_total{code="200",model="indexes.manuals",version="1"} 1.0' in page
    assert [(each.model, each.status) for each in seeing.seen] == [("indexes.manuals", 200), ("indexes.manuals", 403)]


def test_an_index_whose_files_are_not_those_that_were_registered_is_not_served(tmp_path: Path) -> None:
    index = build_registered(tmp_path / "1", DOCUMENTS, "lexical")
    texts = index.with_name("texts.txt")
    file = ModelFile(
        name="indexes.manuals", version="1", path=str(index), files={str(texts): digest_of_file(texts)}, index=True
    )
    texts.write_text(texts.read_text().replace("pump", "pomp"))
    content = ServiceFile(models=(file,))
    with pytest.raises(PlimsollError, match="was altered"):
        Catalog(lambda: content).load_first()


PUT, DELETE = "/v2/indexes/manuals/documents", "/v2/indexes/manuals/documents/delete"


def put(mounted: Mount, *documents: dict[str, Any], **headers: str) -> tuple[int, bytes]:
    return ask(mounted, "POST", PUT, {"documents": documents}, **(headers or ADMIN))


def test_what_is_put_in_is_found_at_once_by_every_process_and_takes_the_place_of_what_had_its_id(
    index: Path, tmp_path: Path
) -> None:
    journal = tmp_path / "changes.jsonl"
    one, other = serving(index, changes=journal), serving(index, changes=journal)
    status, content = put(one, {"id": "new", "text": "A dog barks."}, {"id": "leak", "text": "The hose is dry."})
    assert (status, json.loads(content)) == (200, {"index": "manuals", "documents": 2, "chunks": 2})
    for mounted in (one, other, serving(index, changes=journal)):
        assert found(mounted, {"query": "animal", "top": 1}) == ["new"]
        assert found(mounted, {"query": "oil leak", "search": "lexical"}) == []
        status, content = ask(mounted, "POST", SEARCH, {"query": "hose", "search": "lexical"})
        [hit] = json.loads(content)["hits"]
        assert (hit["id"], hit["text"], hit["start"], hit["end"]) == ("leak", "The hose is dry.", 0, 16)


def test_labels_of_what_is_put_in_count_like_those_of_the_index(index: Path, tmp_path: Path) -> None:
    mounted = serving(index, changes=tmp_path / "changes.jsonl")
    put(mounted, {"id": "pay", "text": "The payment is late.", "access": ["office"]})
    put(mounted, {"id": "secret", "text": "The payment is late.", "access": ["office"]})
    asked = {"query": "payment", "top": 10}
    assert set(found(mounted, asked)) == {"leak"}
    assert set(found(mounted, {**asked, "access": ["office"]}, **ADMIN)) == {"leak", "bill", "pay", "secret"}
    assert set(found(mounted, {**asked, "access": ["board"]}, **ADMIN)) == {"leak"}


def test_what_is_deleted_is_not_found_and_no_file_of_changes_has_its_text(index: Path, tmp_path: Path) -> None:
    journal = tmp_path / "changes.jsonl"
    one, other = serving(index, changes=journal), serving(index, changes=journal)
    put(one, {"id": "person", "text": "Reported by wotsername 4711."}, {"id": "stays", "text": "The cat stays."})
    put(one, {"id": "person", "text": "Reported by wotsername 4712."})
    assert found(other, {"query": "wotsername", "search": "lexical"}) == ["person"]
    status, content = ask(one, "POST", DELETE, {"ids": ["person", "leak"]}, **ADMIN)
    assert (status, json.loads(content)) == (200, {"index": "manuals", "deleted": 2})
    for mounted in (one, other, serving(index, changes=journal)):
        assert set(found(mounted, {"query": "wotsername oil leak cat", "top": 10})) == {"stays"}
    held = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert (b"wotsername" in held, b"471" in held, b"The cat stays." in held) == (False, False, True)


def test_documents_are_changed_by_who_has_the_token_and_by_nobody_else(index: Path, tmp_path: Path) -> None:
    journal = tmp_path / "changes.jsonl"
    seeing = Seeing()
    observers = Observers([seeing])
    mounted = serving(index, changes=journal, observers=observers)
    for headers in ({"x-user": "me"}, {"authorization": "Bearer wrong"}):
        assert put(mounted, {"id": "a", "text": "b"}, **headers)[0] == 403
        assert ask(mounted, "POST", DELETE, {"ids": ["leak"]}, **headers)[0] == 403
    assert not journal.exists()
    assert found(mounted, {"query": "oil leak"}) == ["leak"]
    status, content = put(serving(index), {"id": "a", "text": "b"})
    assert (status, b"keeps no changes" in content) == (400, True)
    wrong: list[tuple[object, str]] = [
        ({"documents": []}, "$.documents"),
        ({"documents": [{"id": "a", "text": "   "}]}, "'a' has no text"),
        ({"documents": [{"id": "a", "text": "b"}, {"id": "a", "text": "c"}]}, "have the same id"),
        ({"documents": [{"id": "a", "text": "b", "label": "c"}]}, "label"),
    ]
    for body, why in wrong:
        status, content = ask(mounted, "POST", PUT, body, **ADMIN)
        assert (status, why in content.decode()) == (400, True), content
    put(mounted, {"id": "a", "text": "b"})
    observers.close()
    assert [(each.event, each.status) for each in seeing.seen if each.event == "put"][-1] == ("put", 200)


def _mapped(pid: int, file: Path) -> dict[str, int]:
    """What a process has of a file in memory, in KiB by the kernel's words."""
    sizes: dict[str, int] = {}
    ours = False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        words = line.split()
        if "-" in words[0]:
            ours = words[-1] == str(file)
        elif ours and words[-1] == "kB":
            sizes[words[0]] = sizes.get(words[0], 0) + int(words[1])
    return sizes


@pytest.mark.slow
def test_a_new_version_takes_over_while_workers_that_share_one_copy_answer_without_a_failure(tmp_path: Path) -> None:
    indexes = {
        number: build_registered(tmp_path / number, [document(number, f"The pump of version {number}.")])
        for number in ("1", "2")
    }
    file = tmp_path / "service.json"

    def write(number: str) -> None:
        part = file.with_suffix(".part")
        content = ServiceFile(models=(version(indexes[number], number),))
        part.write_bytes(msgspec.json.encode(content))
        part.replace(file)

    write("1")
    server = Server(None, tmp_path, "--service", str(file), "--scale-min", "2", "--scale-max", "2")
    ending = threading.Event()
    answers: Counter[tuple[int, str, str]] = Counter()

    def search() -> None:
        while not ending.is_set():
            answer = httpx.post(server.url + SEARCH, json={"query": "pump", "top": 1}, timeout=50)
            told = answer.json()
            answers[answer.status_code, told["version"], told["hits"][0]["id"]] += 1

    threads = [threading.Thread(target=search) for _ in range(4)]
    try:
        for thread in threads:
            thread.start()
        until(lambda: answers[200, "1", "1"] > 20)
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
        graphs = [_mapped(int(pid), indexes["1"].with_name("vectors-0.usearch")) for pid in children]
        for number in ("2", "1", "2"):
            write(number)
            server.process.send_signal(signal.SIGHUP)
            before = answers[200, number, number]
            until(lambda before=before, number=number: answers[200, number, number] > before + 20)  # type: ignore[misc]
    finally:
        ending.set()
        for thread in threads:
            thread.join()
        assert server.stop() == 0
    assert set(answers) == {(200, "1", "1"), (200, "2", "2")}
    assert len(graphs) == 2
    for each in graphs:
        assert each["Rss:"] > 0
        assert (each["Private_Dirty:"], each["Anonymous:"]) == (0, 0), "a copy of its own"


@pytest.mark.slow
def test_many_writers_in_many_processes_lose_nothing_and_every_document_is_found(tmp_path: Path) -> None:
    index = build_registered(tmp_path / "1", DOCUMENTS)
    file = tmp_path / "service.json"
    file.write_bytes(msgspec.json.encode(ServiceFile(models=(version(index),))))
    journal = tmp_path / "changes" / "manuals.jsonl"
    scale = ("--scale-min", "3", "--scale-max", "3")
    server = Server(None, tmp_path, "--service", str(file), "--changes", str(journal), *scale)
    names = [f"w{writer}n{number}" for writer in range(6) for number in range(8)]

    def write(writer: int) -> None:
        for name in (each for each in names if each.startswith(f"w{writer}n")):
            body = {"documents": [{"id": name, "text": f"The pump {name} has a leak."}]}
            answer = httpx.post(server.url + PUT, json=body, headers=ADMIN, timeout=50)
            assert answer.status_code == 200, answer.text

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(6)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for name in names:
            answer = httpx.post(server.url + SEARCH, json={"query": name, "search": "lexical"}, timeout=50).json()
            assert [hit["id"] for hit in answer["hits"]] == [name]
        every = httpx.post(server.url + SEARCH, json={"query": "pump leak", "top": 100}, timeout=50).json()
        assert {hit["id"] for hit in every["hits"]} == {*names, "leak"}
    finally:
        assert server.stop() == 0
