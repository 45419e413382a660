"""Credentials for requests, and new ones when they have run out."""

from __future__ import annotations

import base64
import threading
import time
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from plimsoll.errors import FileError, PlimsollError
from plimsoll.kubernetes.connection.plugin_answer import Given
from plimsoll.kubernetes.connection.plugin_process import CredentialError, ask
from plimsoll.kubernetes.kubeconfig.access import Access, Certificate, Plugin
from plimsoll.kubernetes.kubeconfig.choosing import named
from plimsoll.kubernetes.kubeconfig.files import read_text

REREAD = 30.0
"""Seconds that the content of a token's file is used for; the kubelet writes a new one long before the old runs out."""


class Credential(Struct, frozen=True, kw_only=True):
    """What is sent and shown with a request: a header's content, and a client's certificate."""

    authorization: str = ""
    certificate: Certificate | None = None


class Source(Protocol):
    """Where credentials come from. Can be used from several threads."""

    def current(self) -> Credential:
        """Those to use now. Raises CredentialError."""
        ...

    def renewed(self, refused: Credential) -> Credential | None:
        """Others than those which the server has refused; `None` when there are none. Raises CredentialError."""
        ...


def source_of(access: Access) -> Source:
    """Where an access's credentials come from; what is written in the kubeconfig comes before a plugin."""
    if access.token_file:
        return TokenFile(access)
    if access.plugin is not None and not _is_written(access):
        return PluginSource(access.plugin, access.certificate)
    return Written(access)


def _is_written(access: Access) -> bool:
    return bool(access.token or access.username)


class Written:
    """What is written in the kubeconfig and the files that it names; once it is refused, what stands there by then.

    So does a run outlast a token that somebody renews by logging in again, and a certificate that is written anew.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._lock = threading.Lock()
        self._credential = _as_written(access)

    def current(self) -> Credential:
        """Those that were read last."""
        with self._lock:
            return self._credential

    def renewed(self, refused: Credential) -> Credential | None:
        """What stands in the files now, for the same server; nothing for what stands in no file."""
        if not self._access.context:
            return None
        with self._lock:
            try:
                found = named(self._access.context)
            except PlimsollError:
                # It is being written, or is gone: the refusal of the server says more.
                return None
            if found.server == self._access.server and not found.token_file:
                self._credential = _as_written(found)
            return self._credential if self._credential != refused else None


def _as_written(access: Access) -> Credential:
    authorization = f"Bearer {access.token}" if access.token else ""
    if access.username:
        pair = base64.b64encode(f"{access.username}:{access.password}".encode()).decode()
        authorization = f"Basic {pair}"
    return Credential(authorization=authorization, certificate=access.certificate)


class TokenFile:
    """A token in a file that others write anew; a token beside it counts until the file could be read."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._lock = threading.Lock()
        self._token = access.token
        self._read = -float("inf")

    def current(self) -> Credential:
        """The token as last read, half a minute ago at most."""
        with self._lock:
            if time.monotonic() - self._read > REREAD:
                self._reread()
            return self._credential()

    def renewed(self, refused: Credential) -> Credential | None:
        """The file's token, when it is another one by now."""
        with self._lock:
            self._reread()
            found = self._credential()
        return found if found != refused else None

    def _reread(self) -> None:
        try:
            text = (read_text(self._path) or "").strip()
            problem = "there is no token in this file"
        except FileError as error:
            text, problem = "", error.message
        if text:
            self._token, self._read = text, time.monotonic()
        elif not self._token:
            hint = f"it is the tokenFile of the context '{self._access.context}'"
            raise CredentialError(problem, where=str(self._path), hint=hint)

    def _credential(self) -> Credential:
        return Credential(authorization=f"Bearer {self._token}", certificate=self._access.certificate)

    @property
    def _path(self) -> Path:
        return Path(self._access.token_file)


class PluginSource:
    """A plugin's credentials, until they run out or are refused; threads that ask together have it run once."""

    def __init__(self, plugin: Plugin, certificate: Certificate | None) -> None:
        self._plugin = plugin
        self._certificate = certificate
        self._lock = threading.Lock()
        self._given: Given | None = None

    def current(self) -> Credential:
        """Those that were given, while they last."""
        with self._lock:
            if self._given is None or (self._given.until is not None and self._given.until <= time.time()):
                self._ask()
            return self._credential()

    def renewed(self, refused: Credential) -> Credential | None:
        """New ones, unless another thread has fetched them already."""
        with self._lock:
            if self._given is None or self._credential() == refused:
                self._ask()
            return self._credential()

    def _ask(self) -> None:
        try:
            self._given = ask(self._plugin)
        except CredentialError as error:
            error.before = self._given is not None
            raise

    def _credential(self) -> Credential:
        given = self._given or Given()
        authorization = f"Bearer {given.token}" if given.token else ""
        return Credential(authorization=authorization, certificate=given.certificate or self._certificate)
