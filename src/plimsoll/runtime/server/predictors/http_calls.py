"""Calls of a server of the Open Inference Protocol on this machine, over connections that are kept, one a thread."""

from __future__ import annotations

import http.client
import socket
import threading
import urllib.parse
from collections.abc import Mapping
from http import HTTPStatus

import msgspec

from plimsoll.decoding import UNREADABLE
from plimsoll.runtime.client import OipMessage
from plimsoll.runtime.tensors import Array, BadTensor, datatype_of, from_json, json_of_python, to_json

QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)
"""The option of Linux by which what is received is confirmed at once."""


class NoAnswer(Exception):
    """The server does not answer, or not as the protocol says; the message says how."""


class Caller:
    """A server's address. Several threads may call it at the same time."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._own = threading.local()
        self._kept: set[http.client.HTTPConnection] = set()

    def close(self) -> None:
        """Close the connections that are kept; calls that are under way fail."""
        while self._kept:
            self._kept.pop().close()

    def says(self, path: str, limit: float) -> bool:
        """Whether a page is there and well."""
        try:
            return self._asked("GET", path, None, limit)[0] == HTTPStatus.OK
        except (NoAnswer, TimeoutError):
            return False

    def readiness(self, limit: float) -> str:
        """Why the server is not ready; empty when it is, or has no page that says so."""
        try:
            status, _ = self._asked("GET", "/v2/health/ready", None, limit)
        except TimeoutError:
            return f"nothing was answered on port {self._port} within {limit:g} s"
        except NoAnswer as error:
            return str(error)
        ready = status in {HTTPStatus.OK, HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}
        return "" if ready else f"/v2/health/ready has the status {status}"

    def metadata(self, model: str, limit: float) -> OipMessage:
        """What a model takes and gives. Raises NoAnswer, TimeoutError."""
        path = f"/v2/models/{urllib.parse.quote(model)}"
        status, content = self._asked("GET", path, None, limit)
        if status != HTTPStatus.OK:
            raise NoAnswer(f"{path} has the status {status}: {_reason(content)}; the model's name is '{model}'")
        return _decoded(content, path)

    def infer(self, model: str, inputs: Mapping[str, Array], limit: float) -> dict[str, Array]:
        """Outputs by name. Raises BadTensor for what the server calls a wrong request, NoAnswer, TimeoutError."""
        tensors = [
            {"name": name, "datatype": datatype_of(array), "shape": array.shape, "data": to_json(array)}
            for name, array in inputs.items()
        ]
        path = f"/v2/models/{urllib.parse.quote(model)}/infer"
        status, content = self._asked("POST", path, msgspec.json.encode({"inputs": tensors}), limit)
        if status == HTTPStatus.OK:
            return _outputs(_decoded(content, path), path)
        if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
            raise BadTensor(f"the server refuses these inputs (status {status}): {_reason(content)}")
        raise NoAnswer(f"it answered with the status {status}: {_reason(content)}")

    def _asked(self, method: str, path: str, body: bytes | None, limit: float) -> tuple[int, bytes]:
        """Status and content. A kept connection that the server has closed meanwhile is replaced once."""
        if limit <= 0:
            raise TimeoutError
        for kept in (True, False):
            known: http.client.HTTPConnection | None = getattr(self._own, "connection", None) if kept else None
            if kept and known is None:
                continue
            connection = known or http.client.HTTPConnection(self._host, self._port)
            self._own.connection = connection
            self._kept.add(connection)
            try:
                return _exchanged(connection, method, path, body, limit)
            except TimeoutError:
                self._forget(connection)
                raise
            except (OSError, http.client.HTTPException) as error:
                self._forget(connection)
                if not kept:
                    what = str(error) or type(error).__name__
                    raise NoAnswer(f"it does not answer on port {self._port}: {what}") from error
        raise AssertionError("the second turn returns or raises")

    def _forget(self, connection: http.client.HTTPConnection) -> None:
        connection.close()
        self._kept.discard(connection)
        self._own.connection = None


def _exchanged(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None, limit: float
) -> tuple[int, bytes]:
    connection.timeout = limit
    if connection.sock is not None:
        connection.sock.settimeout(limit)
    else:
        connection.connect()
    # Servers that write head and body apart wait for us to confirm the head, which the kernel puts off by 40 ms.
    if QUICK_ACK is not None:
        connection.sock.setsockopt(socket.IPPROTO_TCP, QUICK_ACK, 1)
    connection.request(method, path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, answer.read()


def _decoded(content: bytes, path: str) -> OipMessage:
    try:
        found = msgspec.json.decode(content)
    except UNREADABLE:
        try:
            # Python's own encoder writes NaN, which JSON does not have.
            found = json_of_python(content)
        except (ValueError, RecursionError):
            raise NoAnswer(f"its answer at {path} is not JSON") from None
    if not isinstance(found, dict):
        raise NoAnswer(f"its answer at {path} is not a JSON object")
    return found


def _outputs(message: OipMessage, path: str) -> dict[str, Array]:
    try:
        return {
            tensor["name"]: from_json(tensor["data"], tensor["datatype"], tensor["shape"])
            for tensor in message["outputs"]
        }
    except BadTensor as error:
        raise NoAnswer(f"its answer at {path} has a wrong tensor: {error}") from error
    except (KeyError, TypeError) as error:
        raise NoAnswer(f"its answer at {path} is none of the protocol: {error!r}") from error


def _reason(content: bytes) -> str:
    """The protocol's `error`, or the beginning of what came instead."""
    try:
        found = msgspec.json.decode(content)
    except UNREADABLE:
        found = None
    told = found.get("error") or found.get("detail") if isinstance(found, dict) else None
    return str(told or content[:200].decode(errors="replace") or "no reason given")[:500]
