"""Who may ask the server what: the token, the host and the origin of each request, and what a browser may load.

The page keeps its token and sends it as a header. No cookie is set: a browser sends those of 127.0.0.1 to the servers
of all its ports, and with requests that other pages make. A server that knows several people by their tokens sets one
after a login (`login`), under a name with its port, which is sent with requests of its own pages alone.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from plimsoll.encoding import json_for_people
from plimsoll.errors import PlimsollError

NAMES = ("127.0.0.1", "localhost")
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class GuardedApp:
    """An ASGI application before which each request is judged, and whose answers hold a browser to the page."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the refusal, or pass the request on and add the headers that hold a browser to the page."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in (*HEADERS.items(), ("cache-control", "no-store")):
                    headers.setdefault(name, value)
            await send(message)

        refusal = self.refusal(Headers(scope=scope), str(scope["method"]), str(scope["path"]))
        await (refusal or self._app)(scope, receive, with_headers)

    def refusal(self, headers: Headers, method: str, path: str) -> Response | None:
        """What a request is answered instead of the application's answer; None for one that is let through."""
        raise NotImplementedError


class Guard(GuardedApp):
    """An ASGI application that lets through what its own page asks for, and nothing else.

    What a request needs: one of the server's own names as its host, so that no other name leads a browser here; no
    other origin; and below `/api/` the token.
    """

    def __init__(self, app: ASGIApp, *, token: str, port: int) -> None:
        super().__init__(app)
        self._token = token.encode()
        self._hosts = frozenset(f"{name}:{port}" for name in NAMES)
        self._origins = frozenset(f"http://{host}" for host in self._hosts)

    def refusal(self, headers: Headers, method: str, path: str) -> Response | None:
        """For another host, another origin, and below `/api/` without the token."""
        if headers.get("host", "") not in self._hosts:
            return refused(
                421, PlimsollError("this server has no such name", hint="open the address that plimsoll ui printed")
            )
        if not comes_from_own_page(headers, self._origins):
            return refused(403, PlimsollError("other pages may not use this server"))
        if path.startswith("/api/") and not self._has_token(headers):
            message = "the token is missing or not that of this server"
            return refused(401, PlimsollError(message, hint="open the address that plimsoll ui printed"))
        return None

    def _has_token(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self._token)


def comes_from_own_page(headers: Headers, origins: Collection[str]) -> bool:
    """Whether a request is none that a page of another origin makes."""
    origin = headers.get("origin")
    if origin is not None and origin not in origins:
        return False
    # Browsers tell where a request comes from: another page's is `cross-site`, or `same-site` from another port.
    return headers.get("sec-fetch-site", "none") in ("same-origin", "none") or _is_visit(headers)


def refused(status: int, error: PlimsollError) -> Response:
    """An error as its object, as `--json` prints it."""
    return Response(json_for_people(error.as_json()), status, media_type="application/json")


def _is_visit(headers: Headers) -> bool:
    """Whether somebody follows a link to the page: the page itself has nothing of anybody's."""
    return headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"


def policy_sources() -> Iterable[str]:
    """The directives of the policy."""
    return POLICY.split("; ")
