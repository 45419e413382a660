"""From a request to its answer: who asks, whether they may, what goes wrong, and what is done."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from io import BufferedIOBase
from typing import NamedTuple
from urllib.parse import parse_qs

import msgspec
from msgspec.structs import replace

from plimsoll.kubernetes.access import Act
from plimsoll.kubernetes.memory import access, served
from plimsoll.kubernetes.memory.access import Access
from plimsoll.kubernetes.memory.changing import Changing, is_apply
from plimsoll.kubernetes.memory.faults import Faults
from plimsoll.kubernetes.memory.frames import Frames
from plimsoll.kubernetes.memory.granting import grants
from plimsoll.kubernetes.memory.objects import Objects
from plimsoll.kubernetes.memory.pod_logs import Logs, container_of
from plimsoll.kubernetes.memory.proxying import passed_on
from plimsoll.kubernetes.memory.reading import Watches, listed, shown
from plimsoll.kubernetes.memory.refusals import Manifest, StatusError, bad_request
from plimsoll.kubernetes.memory.requests import (
    ADMINISTRATORS,
    ApiPath,
    ApiResponse,
    Request,
    User,
    account_of,
    account_user,
    place_of,
    verb_of,
)
from plimsoll.kubernetes.memory.streams import Execute, Ports, check_placed, execute, forward

ANONYMOUS = User(name="system:anonymous", groups=("system:unauthenticated",))
_OPEN = ("/version", "/healthz", "/livez", "/readyz")
_KEPT = ("/metrics", "/logs", "/debug", "/configz", "/flagz", "/statusz")
"""Paths of the server itself, which nobody has by RBAC objects alone that are about resources."""
_PLAIN_FOUND = 404, "404 page not found\n"


class Seen(NamedTuple):
    """One request that was answered, for tests that count or look for them."""

    method: str
    path: str
    parameters: Mapping[str, str]
    user: str
    code: int

    @property
    def changes(self) -> bool:
        """Whether it asked for a change; who asks for their own rights changes nothing."""
        return self.method != "GET" and "/selfsubject" not in self.path


class Serving:
    """Answers requests. Can be used from several threads; streams run in the thread of their connection."""

    def __init__(self, objects: Objects, version: str) -> None:
        self.objects = objects
        self.version = version
        self.access = Access(objects.store)
        objects.admitters.granting = grants(self.access)
        self.faults = Faults()
        self.watches = Watches(objects.store)
        self.logs = Logs()
        self.ports = Ports()
        self.script: Execute | None = None
        self.users: dict[str, User] = {}
        self._changing = Changing(objects)
        self._seen: list[Seen] = []
        self._lock = threading.Lock()

    def seen(self) -> list[Seen]:
        """The requests so far."""
        with self._lock:
            return list(self._seen)

    def note(self, request: Request, code: int) -> None:
        """Keep a request for `seen`; 0 is the code of a connection that was broken off."""
        with self._lock:
            self._seen.append(Seen(request.method, request.path, request.parameters, request.user.name, code))

    def request(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[Request, list[str]]:
        """A request as it is answered, and the words of a command in it. Raises StatusError (401)."""
        found = parse_qs(query, keep_blank_values=True)
        parameters = {key: values[-1] for key, values in found.items()}
        place = place_of(path, self.objects.kinds)
        request = Request(
            method=method,
            path=path,
            parameters=parameters,
            headers=headers,
            body=body,
            user=self._user(headers),
            verb=verb_of(method, place, parameters) if place is not None else "",
            place=place,
        )
        return request, found.get("command", [])

    def _user(self, headers: Mapping[str, str]) -> User:
        token = headers.get("authorization", "").removeprefix("Bearer ").strip()
        if not token:
            return ANONYMOUS
        if token not in self.users:
            raise StatusError(401, "Unauthorized", "Unauthorized")
        user = self.users[token]
        other = headers.get("impersonate-user", "")
        if not other:
            return user
        account = account_of(other)
        wanted = Act(verb="impersonate", resource="users", name=other)
        if account is not None:
            wanted = Act(verb="impersonate", resource="serviceaccounts", namespace=account[0], name=account[1])
        self.access.check(user, wanted)
        groups = [each for each in headers.get("impersonate-group", "").split(",") if each]
        for each in groups:
            self.access.check(user, Act(verb="impersonate", resource="groups", name=each))
        if account is not None and not groups:
            return account_user(*account)
        return User(name=other, groups=(*groups, "system:authenticated"))

    def answer(self, request: Request, command: list[str]) -> ApiResponse:
        """The answer. Raises StatusError."""
        place = request.place
        if place is None:
            return self._elsewhere(request)
        if not request.verb:
            raise StatusError(
                405, "MethodNotAllowed", "the server does not allow this method on the requested resource"
            )
        self.access.check(request.user, _act(request, place))
        if place.subresource == "token" and request.verb == "create":
            return ApiResponse(code=201, body=self._token(place, _decoded(request.body)))
        if (place.kind.plural, place.subresource) == ("nodes", "proxy"):
            return ApiResponse(body=self._kubelet(place))
        if (place.kind.plural, place.subresource) in (("pods", "attach"), ("services", "proxy")):
            raise StatusError(503, "ServiceUnavailable", f"nothing answers behind {request.path}")
        if place.subresource in ("log", "exec", "portforward", "proxy"):
            return self._part(request, place, command)
        if request.verb in ("get", "list", "watch"):
            return self._read(request, place)
        if (reviewed := self._reviewed(request, place)) is not None:
            return ApiResponse(code=201, body=reviewed)
        if request.verb == "patch" and is_apply(request) and self.objects.store.get(place.key) is None:
            # What is applied and not there is created, for which the right to patch is not enough.
            self.access.check(request.user, replace(_act(request, place), verb="create"))
        code, body = self._changing.answer(request, place)
        return ApiResponse(code=code, body=body)

    def _reviewed(self, request: Request, place: ApiPath) -> Manifest | None:
        """The answer to a question about callers and rights; None for other objects."""
        match place.kind.plural:
            case "selfsubjectaccessreviews":
                return access.reviewed(self.access, request.user, _decoded(request.body))
            case "selfsubjectrulesreviews":
                return access.listed(self.access, request.user, _decoded(request.body))
            case "selfsubjectreviews":
                user = {"username": request.user.name, "groups": list(request.user.groups)}
                return {**_decoded(request.body), "status": {"userInfo": user}}
            case "tokenreviews":
                return access.of_token(self.users, _decoded(request.body))
            case "subjectaccessreviews" | "localsubjectaccessreviews":
                return access.of_subject(self.access, _decoded(request.body), place.namespace)
        return None

    def _token(self, place: ApiPath, asked: Manifest) -> Manifest:
        """A TokenRequest with a token by which its bearer is the account."""
        self.objects.get(place)
        token = secrets.token_hex(16)
        self.users[token] = account_user(place.namespace, place.name)
        seconds = int((asked.get("spec") or {}).get("expirationSeconds") or 3600)
        end = datetime.now(UTC) + timedelta(seconds=seconds)
        return {**asked, "status": {"token": token, "expirationTimestamp": f"{end:%Y-%m-%dT%H:%M:%SZ}"}}

    def _kubelet(self, place: ApiPath) -> Manifest:
        """What a node tells of its pods. Raises StatusError (404) for everything else that a kubelet has."""
        if place.rest != "pods":
            raise StatusError(404, "NotFound", "the server could not find the requested resource")
        pods = [each for each in self.objects.store.list(("", "pods")) if each["spec"].get("nodeName") == place.name]
        return {"kind": "PodList", "apiVersion": "v1", "items": pods}

    def _elsewhere(self, request: Request) -> ApiResponse:
        if request.user == ANONYMOUS and request.path not in _OPEN:
            why = f'User "{request.user.name}" cannot get path "{request.path}"'
            raise StatusError(403, "Forbidden", f"forbidden: {why}")
        if request.path.startswith(_KEPT) and ADMINISTRATORS not in request.user.groups:
            why = f'User "{request.user.name}" cannot get path "{request.path}"'
            raise StatusError(403, "Forbidden", f"forbidden: {why}")
        if request.path in _OPEN[1:]:
            return ApiResponse(body="ok", content_type="text/plain; charset=utf-8")
        found = served.document(self.objects.kinds, request.path, self.version) if request.method == "GET" else None
        if found is not None:
            return ApiResponse(body=found)
        code, text = _PLAIN_FOUND
        return ApiResponse(code=code, body=text, content_type="text/plain; charset=utf-8")

    def _read(self, request: Request, place: ApiPath) -> ApiResponse:
        store, parameters = self.objects.store, request.parameters
        if request.verb == "watch":
            stream = self.watches.stream(place, parameters)
            return ApiResponse(stream=stream)
        if request.verb == "list":
            return ApiResponse(body=listed(store, place, parameters))
        found = self.objects.get(place)
        if place.subresource == "scale":
            return ApiResponse(body=self._changing.scale(place, found))
        return ApiResponse(body=shown(place.kind, found))

    def _part(self, request: Request, place: ApiPath, command: list[str]) -> ApiResponse:
        if place.subresource == "proxy":
            return passed_on(self.objects, self.ports, request, place)
        pod, parameters = self.objects.get(place), request.parameters
        if place.subresource == "log":
            if not pod["spec"].get("nodeName"):
                return ApiResponse(code=204)
            return ApiResponse(stream=self.logs.answer(pod, parameters), content_type="text/plain")
        check_placed(pod)
        # Who opens a WebSocket by GET needs the right to create it too (from 1.35 on).
        self.access.check(request.user, replace(_act(request, place), verb="create"))
        if place.subresource == "exec":
            container, script = container_of(pod, parameters.get("container", "")), self.script

            def run(reader: BufferedIOBase, connection: socket.socket) -> None:
                execute(Frames(reader, connection), script, pod, container, command)

            return ApiResponse(code=101, upgrade=run)
        if not parameters.get("ports", "").isdecimal():
            raise bad_request('query parameter "ports" is required')
        port, ports = int(parameters["ports"]), self.ports

        def carry(reader: BufferedIOBase, connection: socket.socket) -> None:
            forward(Frames(reader, connection), ports, pod, port)

        return ApiResponse(code=101, upgrade=carry)


def _act(request: Request, place: ApiPath) -> Act:
    part = f"/{place.subresource}" if place.subresource else ""
    # A namespace by its name counts as lying in itself: rights in it are rights on it.
    itself = place.name if (place.kind.group, place.kind.plural) == ("", "namespaces") else ""
    return Act(
        verb=request.verb,
        group=place.kind.group,
        resource=f"{place.kind.plural}{part}",
        namespace=place.namespace or itself,
        name=place.name,
    )


def _decoded(body: bytes) -> Manifest:
    try:
        return msgspec.json.decode(body, type=Manifest)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise bad_request(f"the body is no object: {error}") from error


def administrator(name: str) -> User:
    """A user who may do everything."""
    return User(name=name, groups=(ADMINISTRATORS, "system:authenticated"))
