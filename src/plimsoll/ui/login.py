"""Several people at one server: they log in with tokens of a file, and may look or act as the roles of these say.

A browser is known by a cookie that no script reads and that is sent with requests of the server's own pages alone.
Programs send the token itself as a header. A token that is revoked ends its sessions and streams within seconds.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import html
import ipaddress
import secrets
import time
import urllib.parse
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from http.cookies import CookieError, SimpleCookie
from pathlib import Path

from msgspec import Struct
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from plimsoll.errors import PlimsollError
from plimsoll.runtime.server.identities.bearers import TokenBearers
from plimsoll.runtime.server.identities.callers import Caller, Role
from plimsoll.ui.guard import NAMES, GuardedApp, comes_from_own_page, refused

LOOK: Role = "metrics"
"""Who has this role may see all that the pages show."""
ACT: Role = "admin"
"""Who has this one may stop, promote and roll back too."""
LIFETIME = 12 * 3600
"""Seconds of a session."""
MOST = 1000
"""Sessions; of more, the oldest ends."""
LOOK_EVERY = 1.0
"""Seconds between two looks at the file of tokens, and at whether a stream may go on."""
MOST_BODY = 16 << 10
"""Bytes of a login."""
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 26rem; margin: 15vh auto; padding: 0 1rem; }
label, input, button { display: block; width: 100%; box-sizing: border-box; font: inherit; margin: .4rem 0; }
input, button { padding: .5rem; }
[role=alert] { border-left: .3rem solid; padding-left: .6rem; }
"""
_STYLE_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
PAGE_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_DIGEST}'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
"""What the page of the login may load: nothing, and it may send its form to this server."""
_FORM = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Log in · Plimsoll</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>Plimsoll</h1>
{problem}
<form method="post" action="/login">
<label for="token">Your token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button>Log in</button>
</form>
<p>Whoever runs this page gives you one: <code>plimsoll token create NAME --role metrics</code></p>
</main>
</body>
</html>
"""


class _Session(Struct, frozen=True):
    token: str
    until: float


class Login:
    """Who is logged in. `secure` says that the server is reached by https."""

    def __init__(
        self, tokens: Path, host: str, port: int, names: Collection[str] = (), *, secure: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        """`host` is the address that is listened on, `names` are more that the server goes by.

        Raises TargetError for a file of tokens that cannot be used.
        """
        self._tokens = TokenBearers(tokens)
        self._clock = clock
        self._looked = clock()
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._port = port
        self._scheme = "https" if secure else "http"
        self._cookie = f"{'__Host-' if secure else ''}plimsoll-ui-{port}"
        self._names = frozenset(name.lower() for name in (*NAMES, host, *names))
        # An address that stands for all of a machine's is no name: any of these is then.
        self._any_address = _is_any(host)

    def knows_host(self, host: str) -> bool:
        """Whether a request is for one of the server's names: of another, somebody has led a browser here."""
        name, _, port = host.rpartition(":")
        bare = name.removeprefix("[").removesuffix("]").lower()
        if port != str(self._port) or not bare:
            return False
        return bare in self._names or (self._any_address and _is_address(bare))

    def own_origin(self, host: str) -> str:
        """The origin of the server's pages for who has opened them by this name."""
        return f"{self._scheme}://{host}"

    def caller(self, headers: Headers) -> Caller | None:
        """Who sends a request, by its token or by its cookie."""
        self._look()
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme:
            return self._tokens.caller(given.strip()) if scheme.lower() == "bearer" else None
        session = self._sessions.get(self._cookie_of(headers))
        if session is None or self._clock() >= session.until:
            return None
        return self._tokens.caller(session.token)

    def routes(self) -> Iterable[Route]:
        """The page of the login, and its end."""
        yield Route("/login", self._form, methods=["GET"])
        yield Route("/login", self._begin, methods=["POST"])
        yield Route("/logout", self._end, methods=["POST"])

    async def _form(self, request: Request) -> Response:
        caller = self.caller(request.headers)
        return _page("", 200) if caller is None or not caller.may(LOOK) else RedirectResponse("/", 303)

    async def _begin(self, request: Request) -> Response:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BODY:
                return _page("The token is too long.", 413)
        fields = urllib.parse.parse_qs(body.decode("utf-8", "replace"), max_num_fields=8)
        token = fields.get("token", [""])[0].strip()
        self._look()
        caller = self._tokens.caller(token)
        if caller is None:
            return _page("The token is not known here, or has ended.", 401)
        if not caller.may(LOOK):
            return _page(f"The token is known, and lacks the role {LOOK}.", 403)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(
            self._cookie,
            self._opened(token),
            max_age=LIFETIME,
            path="/",
            secure=self._scheme == "https",
            httponly=True,
            samesite="strict",
        )
        return answer

    async def _end(self, request: Request) -> Response:
        self._sessions.pop(self._cookie_of(request.headers), None)
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(self._cookie, path="/", secure=self._scheme == "https", httponly=True, samesite="strict")
        return answer

    def _opened(self, token: str) -> str:
        mark = secrets.token_urlsafe(32)
        while len(self._sessions) >= MOST:
            self._sessions.popitem(last=False)
        self._sessions[mark] = _Session(token, self._clock() + LIFETIME)
        return mark

    def _cookie_of(self, headers: Headers) -> str:
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(self._cookie)
        except CookieError:
            return ""
        return found.value if found is not None else ""

    def _look(self) -> None:
        if self._clock() - self._looked >= LOOK_EVERY:
            self._looked = self._clock()
            self._tokens.look()


class LoginGuard(GuardedApp):
    """Lets through whoever is logged in and may do what is asked; the page itself has nothing of anybody's."""

    def __init__(self, app: ASGIApp, *, login: Login) -> None:
        super().__init__(app)
        self._login = login

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As of every guard; what is read on and on ends when its reader may not read it any more."""
        if scope["type"] == "http" and scope["path"] == "/api/events":
            receive = self._until_over(Headers(scope=scope), receive)
        await super().__call__(scope, receive, send)

    def refusal(self, headers: Headers, method: str, path: str) -> Response | None:
        """For another host, another origin, and below `/api/` without the role."""
        host = headers.get("host", "")
        if not self._login.knows_host(host):
            return refused(421, PlimsollError("this server has no such name", hint="plimsoll ui --name adds one"))
        if not comes_from_own_page(headers, {self._login.own_origin(host)}):
            return refused(403, PlimsollError("other pages may not use this server"))
        if not path.startswith("/api/"):
            return None
        caller = self._login.caller(headers)
        if caller is None:
            hint = "open /login, or send 'Authorization: Bearer TOKEN'"
            return refused(401, PlimsollError("nobody is logged in", hint=hint))
        role = LOOK if method in {"GET", "HEAD"} else ACT
        if not caller.may(role):
            has = ", ".join(sorted(caller.roles))
            return refused(403, PlimsollError(f"this needs the role {role}, and the roles of the token are: {has}"))
        return None

    def _until_over(self, headers: Headers, receive: Receive) -> Receive:
        async def received() -> Message:
            waiting = asyncio.ensure_future(receive())
            try:
                while not (await asyncio.wait({waiting}, timeout=LOOK_EVERY))[0]:
                    caller = self._login.caller(headers)
                    if caller is None or not caller.may(LOOK):
                        return {"type": "http.disconnect"}
                return waiting.result()
            finally:
                waiting.cancel()

        return received


def _page(problem: str, status: int) -> Response:
    told = f'<p role="alert">{html.escape(problem)}</p>' if problem else ""
    # Of a page that says no referrer at all, a browser sends a form with the origin `null`.
    headers = {"content-security-policy": PAGE_POLICY, "referrer-policy": "same-origin"}
    return Response(_FORM.format(problem=told, style=_STYLE), status, headers, media_type="text/html")


def _is_any(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
