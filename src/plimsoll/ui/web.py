"""The server's addresses: the page, what it asks for, the stream of events, and the acts."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from plimsoll import __version__
from plimsoll.encoding import json_for_people
from plimsoll.engine.history import RunHistory
from plimsoll.errors import FileError, PlimsollError
from plimsoll.ui import check_pages, log_pages, run_pages, sweep_pages
from plimsoll.ui.acts import wanted
from plimsoll.ui.guard import Guard, refused
from plimsoll.ui.login import Login, LoginGuard
from plimsoll.ui.rooms import Room, Rooms
from plimsoll.ui.run_index import Query

STATIC = Path(__file__).with_name("static")
PAGE = "index.html"
KINDS_OF_FILE = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
MOST_ROWS = 200
MOST_COLUMNS = 12
MOST_CHARTS = 48
MOST_BODY = 64 << 10
"""Bytes of a request's body."""


class Asked:
    """What an address asks for: the place, the words of its path, and its settings."""

    def __init__(self, rooms: Rooms, path: Mapping[str, str], query: QueryParams) -> None:
        self.rooms = rooms
        self.query = query
        self._path = path

    @property
    def room(self) -> Room:
        """The place. Raises PlimsollError when there is none."""
        return self.rooms.of(self._path["place"])

    def word(self, name: str) -> str:
        """A word of the path."""
        return self._path[name]

    def run(self, name: str = "run") -> RunHistory:
        """The run that a word of the path names. Raises PlimsollError when there is none."""
        return self.room.read_run(self.word(name))

    def text(self, name: str) -> str:
        """A setting, cut to what anybody would type."""
        return self.query.get(name, "")[:400]

    def number(self, name: str, default: int, most: int | None = None) -> int:
        """A setting that is a whole number from 0 on. Raises FileError for another."""
        given = self.query.get(name)
        if given is None or not given:
            return default
        if not (given.isascii() and given.isdigit() and len(given) < 16):
            raise FileError(f"'{given[:40]}' is no whole number", where=name)
        return int(given) if most is None else min(int(given), most)

    @property
    def cut(self) -> dict[str, int]:
        """Where a page begins and how many rows it has."""
        return {"offset": self.number("offset", 0), "limit": self.number("limit", 50, MOST_ROWS)}


Answer = Callable[[Asked], object]


def application(rooms: Rooms, *, token: str = "", port: int, login: Login | None = None) -> Starlette:
    """The application that serves these places, to whoever has the token, or has logged in."""

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        rooms.start()
        yield

    routes = [
        Route("/api/events", _events(rooms)),
        Route("/api/{place}/acts", _begin(rooms), methods=["POST"]),
        Route("/api/acts/{act}/interrupt", _interrupt(rooms), methods=["POST"]),
        *(Route(path, _answering(rooms, answer)) for path, answer in ANSWERS.items()),
        *(login.routes() if login is not None else ()),
        *page_routes(logs_in=login is not None),
    ]
    guard = Middleware(Guard, token=token, port=port) if login is None else Middleware(LoginGuard, login=login)
    return Starlette(routes=routes, middleware=[guard], lifespan=lifespan, exception_handlers={Exception: _defect})


def _places(asked: Asked) -> dict[str, object]:
    return {
        "version": __version__,
        "places": [
            {
                "id": room.place.id,
                "directory": str(room.place.directory),
                "target": room.place.target,
                "application": room.application,
                "live": room.follower.live,
                "problem": room.watch.problem,
            }
            for room in asked.rooms.all()
        ],
    }


def _start(asked: Asked) -> object:
    """The places with the rows of the one that is named, or of the first: what the page begins with."""
    named = asked.text("place")
    room = next((room for room in asked.rooms.all() if named in ("", room.place.id)), None)
    rows = None if room is None else {"place": room.place.id, "rows": _rows(asked, room)}
    return {**_places(asked), "runs": rows}


def _runs(asked: Asked) -> object:
    return _rows(asked, asked.room)


def _rows(asked: Asked, room: Room) -> dict[str, object]:
    query = Query(
        sort=asked.text("sort") or "number",
        descending=asked.text("descending") != "false",
        text=asked.text("text"),
        state=asked.text("state"),
        columns=[column[:400] for column in asked.query.getlist("column")[:MOST_COLUMNS]],
        live=room.follower.live,
        sweeps=asked.text("sweeps") == "true",
        **asked.cut,
    )
    page = room.index.page(query)
    return {"total": page.total, "rows": page.rows, "unread": len(room.follower.unread)}


def _run(asked: Asked) -> object:
    page = run_pages.run_page(asked.room.place.state, asked.run())
    # A run whose steps are done may go on to keep its services up.
    return {**page, "live": page["run"] == asked.room.follower.live}


def _columns(asked: Asked) -> object:
    names, total = asked.room.index.columns(asked.text("text"), asked.number("limit", 50, MOST_ROWS))
    return {"names": names, "total": total}


def _log(asked: Asked) -> object:
    room = asked.room
    path = run_pages.log_path(room.place.state, room.run_id(asked.word("run")), asked.text("name"))
    if "find" in asked.query:
        return {"begin": log_pages.find_text(path, asked.text("find"), asked.number("from", 0))}
    if "from" in asked.query:
        return log_pages.page_from(path, asked.number("from", 0))
    return log_pages.page_before(path, asked.number("before", 0) if "before" in asked.query else None)


def _comparison(asked: Asked) -> object:
    first, second, cut = asked.run("first"), asked.run("second"), asked.cut
    return run_pages.comparison_page(
        asked.room.place.state,
        first,
        second,
        text=asked.text("text"),
        differing=asked.text("differing") == "true",
        offset=cut["offset"],
        limit=cut["limit"],
    )


def _sweep(asked: Asked) -> object:
    room, cut = asked.room, asked.cut
    run = room.run_id(asked.word("run"))
    return sweep_pages.sweep_page(
        asked.rooms.sweeps.of(room.place.state.journal(run)),
        run,
        live=run == room.follower.live,
        sort=asked.text("sort"),
        descending=asked.text("descending") == "true",
        offset=cut["offset"],
        limit=cut["limit"],
    )


ANSWERS: Mapping[str, Answer] = {
    "/api/places": _places,
    "/api/start": _start,
    "/api/{place}/runs": _runs,
    "/api/{place}/columns": _columns,
    "/api/{place}/runs/{run}": _run,
    "/api/{place}/runs/{run}/figures": lambda asked: run_pages.figures_page(
        asked.run(), text=asked.text("text"), **asked.cut
    ),
    "/api/{place}/runs/{run}/curves": lambda asked: run_pages.curves_page(
        asked.room.place.state,
        asked.run(),
        asked.rooms.curves,
        text=asked.text("text"),
        limit=asked.number("limit", 24, MOST_CHARTS),
    ),
    "/api/{place}/runs/{run}/log": _log,
    "/api/{place}/compare/{first}/{second}": _comparison,
    "/api/{place}/sweeps/{run}": _sweep,
    "/api/{place}/models": lambda asked: asked.room.models.page(text=asked.text("text"), **asked.cut),
    "/api/{place}/models/{reference}": lambda asked: asked.room.models.version(asked.word("reference")),
    "/api/{place}/models/{reference}/against/{other}": lambda asked: asked.room.models.comparison(
        asked.word("reference"), asked.word("other")
    ),
    "/api/{place}/services": lambda asked: asked.room.watch.page(),
    "/api/{place}/services/{service}": lambda asked: asked.room.watch.service_page(asked.word("service")),
    "/api/{place}/devices": lambda asked: asked.room.devices.page(text=asked.text("text"), **asked.cut),
    "/api/{place}/checks": lambda asked: check_pages.checks_page(asked.room.place.directory),
    "/api/{place}/checks/{check}": lambda asked: check_pages.check_page(
        asked.room.place.directory, asked.word("check")
    ),
    "/api/{place}/checks/{check}/{requirement}": lambda asked: check_pages.evidence_page(
        asked.room.place.directory, asked.word("check"), asked.word("requirement"), **asked.cut
    ),
    "/api/{place}/acts": lambda asked: {"acts": asked.rooms.acts.listed(asked.room.place.id)},
}
"""Each address with what answers it, on a thread of the pool."""


def _answering(rooms: Rooms, answer: Answer) -> Callable[[Request], object]:
    async def respond(request: Request) -> Response:
        def answered() -> Response:
            try:
                return _json(answer(Asked(rooms, request.path_params, request.query_params)))
            except PlimsollError as error:
                return refused(400, error)

        return await run_in_threadpool(answered)

    return respond


def _shown_run(rooms: Rooms, query: QueryParams) -> frozenset[tuple[str, str]]:
    """The run that a page shows, by its place and its id; none where there is no such run."""
    place, word = query.get("place", ""), query.get("run", "")
    try:
        room = rooms.of(place)
        run = room.run_id(word) if word else ""
    except PlimsollError:
        return frozenset()
    if run:
        room.follower.look_anew(run)
    return frozenset({(place, run)} if run else ())


def _events(rooms: Rooms) -> Callable[[Request], object]:
    async def respond(request: Request) -> Response:
        shown = await run_in_threadpool(_shown_run, rooms, request.query_params)
        stream = rooms.hub.open(shown)
        if stream is None:
            return refused(503, PlimsollError("too many pages are open", hint="close some of them"))

        async def body() -> AsyncIterator[bytes]:
            try:
                async for line in stream.lines():
                    yield line
            finally:
                rooms.hub.leave(stream)

        return StreamingResponse(body(), media_type="text/event-stream")

    return respond


def _begin(rooms: Rooms) -> Callable[[Request], object]:
    async def respond(request: Request) -> Response:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BODY:
                return refused(413, PlimsollError(f"the request has more than {MOST_BODY} bytes"))
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return refused(415, PlimsollError("an act is JSON", hint="send it as application/json"))
        try:
            room = rooms.of(request.path_params["place"])
            return _json(rooms.acts.begin(room.place.id, room.target, wanted(body)), 202)
        except PlimsollError as error:
            return refused(400, error)

    return respond


def _interrupt(rooms: Rooms) -> Callable[[Request], object]:
    async def respond(request: Request) -> Response:
        try:
            return _json(rooms.acts.interrupt(request.path_params["act"]))
        except PlimsollError as error:
            return refused(400, error)

    return respond


def page_routes(*, logs_in: bool = False) -> Iterator[Route]:
    """The page, and its files below the digest of all of them: a browser that has them asks for none again."""
    files = {path.name: path.read_bytes() for path in sorted(STATIC.iterdir()) if path.suffix in KINDS_OF_FILE}
    digest = hashlib.sha256(b"".join(name.encode() + content for name, content in files.items())).hexdigest()[:16]
    page = files.pop(PAGE).replace(b'="files/', f'="{digest}/'.encode())
    if logs_in:
        page = page.replace(b"<html ", b"<html data-login ", 1)
    yield Route("/", _file(PAGE, page, "no-cache"))
    for name, content in files.items():
        yield Route(f"/{digest}/{name}", _file(name, content, "max-age=31536000, immutable"))


def _file(name: str, content: bytes, cache: str) -> Callable[[Request], object]:
    """One file of the page, read once: all of them are small."""
    kind, tag = KINDS_OF_FILE[Path(name).suffix], f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    headers = {"cache-control": cache, "etag": tag}

    async def respond(request: Request) -> Response:
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=kind, headers=headers)

    return respond


async def _defect(_: Request, error: Exception) -> Response:
    return refused(500, PlimsollError(f"this is a defect of plimsoll ({type(error).__name__}: {error})"))


def _json(value: object, status: int = 200) -> Response:
    return Response(json_for_people(msgspec.to_builtins(value)), status, media_type="application/json")
