"""What a credential plugin is asked and answers: ExecCredential. Pure.

Source: KEP-541, and client-go, plugin/pkg/client/auth/exec.
"""

from __future__ import annotations

import re
from datetime import datetime

import msgspec
from msgspec import Struct

from plimsoll.kubernetes.kubeconfig.access import Certificate, Plugin

KIND = "ExecCredential"
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07]*\x07|.)|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Given(Struct, frozen=True, kw_only=True):
    """Credentials of a plugin; `until` is in seconds of Unix time, None when the plugin does not limit them."""

    token: str = ""
    certificate: Certificate | None = None
    until: float | None = None


class AnswerError(Exception):
    """An answer that is none; the message says why."""


class _Status(Struct, frozen=True, rename="camel"):
    expiration_timestamp: datetime | None = None
    token: str | None = None
    client_certificate_data: str | None = None
    client_key_data: str | None = None


class _Answer(Struct, frozen=True, rename="camel"):
    api_version: str | None = None
    kind: str | None = None
    status: _Status | None = None


def question(plugin: Plugin, *, interactive: bool) -> str:
    """The content of KUBERNETES_EXEC_INFO."""
    spec: dict[str, object] = {"interactive": interactive}
    if plugin.cluster is not None:
        spec["cluster"] = plugin.cluster
    return msgspec.json.encode({"kind": KIND, "apiVersion": plugin.api_version, "spec": spec}).decode()


def answer(plugin: Plugin, printed: bytes) -> Given:
    """The credentials that a plugin printed. Raises AnswerError."""
    if not printed.strip():
        raise AnswerError("it printed nothing")
    try:
        found = msgspec.json.decode(printed, type=_Answer)
    except msgspec.ValidationError as error:
        # The converter's words name types and fields, never values: a token is not shown.
        raise AnswerError(f"its answer is no {KIND}: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise AnswerError("it did not print JSON") from None
    if found.kind != KIND:
        raise AnswerError(f"it printed a {found.kind or 'document without a kind'}, and no {KIND}")
    if found.api_version != plugin.api_version:
        told = f"it answers in apiVersion {found.api_version}, and the kubeconfig says {plugin.api_version}"
        raise AnswerError(told)
    if found.status is None:
        raise AnswerError("its answer has no status")
    return _given(plugin, found.status)


def _given(plugin: Plugin, status: _Status) -> Given:
    chain, key, token = status.client_certificate_data or "", status.client_key_data or "", status.token or ""
    if bool(chain) != bool(key):
        raise AnswerError(f"its answer has a {'certificate' if chain else 'key'} alone, and not both")
    if not chain and not token:
        raise AnswerError("its answer has neither a token nor a certificate")
    if re.search(r"[\x00-\x1f\x7f]", token):
        raise AnswerError("its token has a line break or another control character")
    until = status.expiration_timestamp
    if until is not None and until.tzinfo is None:
        raise AnswerError("its expirationTimestamp has no time zone")
    where = f"the credential plugin {plugin.command}"
    certificate = Certificate(chain=chain, key=key, where=where) if chain else None
    return Given(token=token, certificate=certificate, until=until.timestamp() if until else None)


def plain(text: str) -> str:
    """A text of others without what would move a terminal's cursor or change its colours."""
    return _ESCAPES.sub("", text).strip()
