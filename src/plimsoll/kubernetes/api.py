"""The Kubernetes API over HTTP, in plain dictionaries: any kind that the cluster serves, known to us or not."""

from __future__ import annotations

import copy
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import msgspec

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import PlimsollError, TargetError
from plimsoll.kubernetes.access import Act, refused_act
from plimsoll.kubernetes.connection import problem_of
from plimsoll.kubernetes.kubeconfig import Access, named
from plimsoll.waits import waiting_for

Manifest = dict[str, Any]
Item = TypeVar("Item")
FIELD_MANAGER = "plimsoll"
_TIMEOUT = 20.0
_HASTY_TIMEOUT = 8.0
_FOLLOW_LIMIT = 60.0
_CLOSE_LIMIT = 2.0
_LARGEST_MESSAGE = 16 << 20
# Less than a second after the first, about twenty in all for what only reads: a network between may be down so long,
# and so long does a controller take to start anew whose webhook is asked.
_TRIES, _PATIENT_TRIES = 4, 6
_TRANSIENT = frozenset({429, 500, 502, 503, 504})
_WEBHOOK_STARTS = re.compile(r"failed calling webhook .*(connection refused|no endpoints available)")


class ApiError(TargetError):
    """The API server refused or could not be reached. `status` is HTTP's, 0 when there was no answer.

    `causes` are the server's own: pairs of a field and what is said about it. `lacks` is the right that was missing,
    where that was the reason.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        reason: str = "",
        where: str = "",
        hint: str = "",
        causes: Sequence[tuple[str, str]] = (),
        lacks: Act | None = None,
    ) -> None:
        super().__init__(message, where=where, hint=hint, lasting=True if lacks is not None else None)
        self.status = status
        self.reason = reason
        self.causes = tuple(causes)
        self.lacks = lacks


class RightsAdvice(msgspec.Struct, frozen=True):
    """What is said of a right that is missing: what it is for, and the command that prints the rights."""

    why: Callable[[Act], str]
    command: str


_NO_ADVICE = RightsAdvice(why=lambda _: "", command="")


class PageMetadata(msgspec.Struct, rename={"following": "continue"}):
    """Where the next page begins; empty for the last."""

    following: str = ""


class Page(msgspec.Struct, Generic[Item]):
    """A page of a list."""

    items: list[Item]
    metadata: PageMetadata


MANIFESTS = decodable(Page[Manifest])


class Api:
    """One cluster. Can be used from several threads."""

    def __init__(self, target: str, access: Access | None = None) -> None:
        from plimsoll.kubernetes.connection import connect

        self._access = access if access is not None else named(target)
        self.target = target
        self.server = self._access.server
        self.advice = _NO_ADVICE
        self._client = connect(self._access, _TIMEOUT)
        self._kinds: dict[str, dict[str, Manifest]] = {}
        self._lock = threading.Lock()
        self._followed: list[Any] = []
        # A server that was never there is told sooner than one that was and is to come back.
        self._reached = False
        self._hasty = False

    def hasty(self) -> Api:
        """The same cluster for a loop of the caller's own, which tells of each failure: a request is tried once."""
        found = copy.copy(self)
        found._hasty = True
        return found

    def with_token(self, token: str) -> Api:
        """The same cluster as whoever a token is of, with no other credential; those of the context never count."""
        bare = {"context": "", "token_file": "", "username": "", "password": "", "certificate": None, "plugin": None}
        return Api(self.target, msgspec.structs.replace(self._access, token=token, impersonation=None, **bare))

    def close(self) -> None:
        """Let go of connections, after those that still follow logs were ended: see `websocket`."""
        from plimsoll.kubernetes.websocket import shut

        deadline = time.monotonic() + _CLOSE_LIMIT
        while self._followed and time.monotonic() < deadline:
            with self._lock:
                for stream in self._followed:
                    shut(stream)
            time.sleep(0.01)
        self._client.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Manifest | None = None,
        parameters: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
        raw: bool = False,
        shape: Any = Any,
    ) -> Any:
        """The answer, decoded into `shape`, or its text when `raw`. Raises ApiError with the server's own words.

        What only reads, and what can be repeated (apply, delete), is tried again when the server is out of breath.
        """
        content = msgspec.json.encode(body) if body is not None else None
        tries = (
            1 if method == "POST" or self._hasty else _PATIENT_TRIES if method == "GET" and self._reached else _TRIES
        )
        attempt = 0
        awaited = f"the API server {self.server} to answer {method} {path}"
        while True:
            attempt += 1
            try:
                with waiting_for(awaited):
                    answer = self._client.request(
                        method,
                        path,
                        content=content,
                        params=parameters,
                        headers={"Content-Type": content_type, **(headers or {})},
                        timeout=_HASTY_TIMEOUT if self._hasty else _TIMEOUT,
                    )
            except PlimsollError as error:
                raise _without_credentials(error) from error
            except Exception as error:  # of the HTTP library and of those below it
                told, hint, passing = problem_of(self._access, error)
                problem = ApiError(told, status=0, where=f"{method} {path}", hint=hint)
                if not passing:
                    raise problem from error
            else:
                self._reached = True
                if answer.status_code < 400:
                    return answer.text if raw else _decoded(method, path, answer, shape)
                problem = _refused(method, path, answer, self.advice)
                if answer.status_code not in _TRANSIENT:
                    raise problem
                if tries > 1 and _WEBHOOK_STARTS.search(problem.message):
                    tries = _PATIENT_TRIES
            if attempt >= tries:
                raise problem
            awaited = f"the API server to try {method} {path} again: {problem.message}"
            with waiting_for(awaited):
                time.sleep(0.3 * 2**attempt)

    def kind(self, api_version: str, kind: str) -> Manifest:
        """What discovery says about a kind: plural name and whether it lies in namespaces. Raises ApiError."""
        with self._lock:
            kinds = self._kinds.get(api_version)
        if kinds is None or kind not in kinds:
            answer = self.request("GET", _root(api_version))
            kinds = {each["kind"]: each for each in answer["resources"] if "/" not in each["name"]}
            with self._lock:
                self._kinds[api_version] = kinds
        if kind not in kinds:
            raise ApiError(f"the cluster does not serve {kind} of {api_version}", status=404)
        return kinds[kind]

    def serves(self, api_version: str, kind: str) -> bool:
        """Whether the cluster serves a kind."""
        try:
            self.kind(api_version, kind)
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    def path(self, api_version: str, kind: str, namespace: str | None = None, name: str | None = None) -> str:
        """Where objects of a kind lie."""
        known = self.kind(api_version, kind)
        parts = [_root(api_version)]
        if known["namespaced"] and namespace:
            parts += ["namespaces", quote(namespace)]
        parts.append(known["name"])
        if name:
            parts.append(quote(name))
        return "/".join(parts)

    def apply(self, manifest: Manifest, *, force: bool = True) -> Manifest:
        """Server-side apply under our field manager (KEP-555). Without `force`, others' fields are a conflict (409)."""
        place = self._place(manifest, with_name=True)
        parameters = {"fieldManager": FIELD_MANAGER, "force": "true" if force else "false"}
        found: Manifest = self.request(
            "PATCH", place, body=manifest, parameters=parameters, content_type="application/apply-patch+yaml"
        )
        return found

    def create(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        """A new object; a conflict is an error."""
        parameters = {"fieldManager": FIELD_MANAGER, **({"dryRun": "All"} if dry_run else {})}
        found: Manifest = self.request(
            "POST", self._place(manifest, with_name=False), body=manifest, parameters=parameters
        )
        return found

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Manifest:
        """One object."""
        found: Manifest = self.request("GET", self.path(api_version, kind, namespace, name))
        return found

    def find(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Manifest | None:
        """One object; `None` when there is none of that name."""
        try:
            return self.get(api_version, kind, name, namespace)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def list(self, api_version: str, kind: str, namespace: str | None = None, selector: str = "") -> list[Manifest]:
        """All objects of a kind."""
        return [each for page in self.pages(api_version, kind, MANIFESTS, namespace, selector) for each in page]

    def pages(
        self, api_version: str, kind: str, shape: type[Page[Item]], namespace: str | None = None, selector: str = ""
    ) -> Iterator[Sequence[Item]]:
        """All objects of a kind, page by page; `shape` has what is wanted of each, and is decodable: see there."""
        place = self.path(api_version, kind, namespace)
        following = ""
        while True:
            parameters = {"limit": "500", **({"labelSelector": selector} if selector else {})}
            asked = parameters | ({"continue": following} if following else {})
            page: Page[Item] = self.request("GET", place, parameters=asked, shape=shape)
            yield page.items
            following = page.metadata.following
            if not following:
                return

    def delete(
        self,
        api_version: str,
        kind: str,
        name: str,
        namespace: str | None = None,
        grace: int | None = None,
        exactly: Mapping[str, str] | None = None,
    ) -> None:
        """Ask for an object's end; one that is gone already is none of our worry.

        `exactly` has the uid and the resourceVersion that it must have; another object, or state, is a conflict (409).
        """
        body: Manifest = {"propagationPolicy": "Background"}
        if grace is not None:
            body["gracePeriodSeconds"] = grace
        if exactly:
            body["preconditions"] = dict(exactly)
        try:
            self.request("DELETE", self.path(api_version, kind, namespace, name), body=body)
        except ApiError as error:
            if error.status != 404:
                raise

    def logs(self, pod: str, namespace: str, container: str | None = None) -> str:
        """What a container has printed."""
        parameters = {"container": container} if container else {}
        place = f"{self.path('v1', 'Pod', namespace, pod)}/log"
        found: str = self.request("GET", place, parameters=parameters, raw=True)
        return found

    @contextmanager
    def follow_logs(
        self, pod: str, namespace: str, container: str, *, since: str = "", times: bool = False, follow: bool = True
    ) -> Iterator[Iterator[bytes]]:
        """What a container prints, as it prints it; ends with the container, or with the link.

        `since` is a time to the second; `times` has each line begin with its own; without `follow` it gives what there
        is, and ends.
        """
        place = f"{self.path('v1', 'Pod', namespace, pod)}/log"
        parameters = {"follow": "true"} if follow else {}
        parameters |= {"timestamps": "true"} if times else {}
        parameters |= {"container": container} if container else {}
        parameters |= {"sinceTime": since} if since else {}
        with self._client.stream("GET", place, params=parameters, timeout=_FOLLOW_LIMIT) as answer:
            if answer.status_code >= 400:
                answer.read()
                raise _refused("GET", place, answer, self.advice)
            stream = answer.extensions["network_stream"]
            with self._lock:
                self._followed.append(stream)
            try:
                yield answer.iter_bytes()
            finally:
                with self._lock:
                    self._followed.remove(stream)

    def websocket(self, place: str, protocol: str, parameters: Mapping[str, str]) -> AbstractContextManager[Any]:
        """A WebSocket of a subresource such as portforward; `send_bytes` and `receive_bytes` are its methods."""
        from httpx2.websockets import WebSocketClient

        from plimsoll.kubernetes.websocket import StreamSession

        client = WebSocketClient(self._client, max_message_size_bytes=_LARGEST_MESSAGE, session_class=StreamSession)
        return client.connect(place, subprotocols=[protocol], params=dict(parameters))

    def patch(self, manifest: Manifest, change: Manifest) -> Manifest:
        """Merge a change into an object that is there (RFC 7386)."""
        place = self._place(manifest, with_name=True)
        found: Manifest = self.request(
            "PATCH",
            place,
            body=change,
            parameters={"fieldManager": FIELD_MANAGER},
            content_type="application/merge-patch+json",
        )
        return found

    def _place(self, manifest: Manifest, *, with_name: bool) -> str:
        metadata = manifest["metadata"]
        name = metadata["name"] if with_name else None
        return self.path(manifest["apiVersion"], manifest["kind"], metadata.get("namespace"), name)


def _without_credentials(error: PlimsollError) -> ApiError:
    """The error of a source of credentials; one that gave some before may do so again, as a server that is away."""
    passing = bool(getattr(error, "before", False))
    return ApiError(error.message, status=0 if passing else 401, where=error.where, hint=error.hint)


def _root(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def _decoded(method: str, path: str, answer: Any, shape: Any) -> Any:  # Any: of the HTTP library, and of a shape's type
    """The content of an answer. Raises ApiError for one that is not the JSON that was expected."""
    try:
        return msgspec.json.decode(answer.content or b"{}", type=shape)
    except UNREADABLE as error:
        message = f"the answer is not the expected JSON: {error}"
        raise ApiError(message, status=answer.status_code, where=f"{method} {path}") from error


def _refused(method: str, path: str, answer: Any, advice: RightsAdvice) -> ApiError:  # Any: of the HTTP library
    try:
        status = msgspec.json.decode(answer.content)
        message, reason = str(status["message"]), str(status.get("reason", ""))
        causes = [(each.get("field", ""), each.get("message", "")) for each in _causes_in(status)]
    except (*UNREADABLE, KeyError, TypeError, AttributeError):
        message, reason, causes = answer.text[:300] or "no reason given", "", []
    code, where = answer.status_code, f"{method} {path}"
    hint = "the credentials have run out; log in again" if code == 401 else ""
    # A quota, a webhook and a namespace that is ending answer 403 too: no right would help against those.
    refused = refused_act(message) if code == 403 else None
    if refused is None:
        return ApiError(message, status=code, reason=reason, where=where, hint=hint, causes=causes)
    _, act = refused
    purpose = advice.why(act)
    hint = f"'{advice.command}' prints the rights that are needed" if advice.command else f"ask for the right to {act}"
    text = f"{message}{f': {purpose}' if purpose else ''}"
    return ApiError(text, status=code, reason=reason, where=where, hint=hint, causes=causes, lacks=act)


def _causes_in(status: Manifest) -> list[Manifest]:
    causes = (status.get("details") or {}).get("causes") or []
    return [each for each in causes if isinstance(each, dict)]
