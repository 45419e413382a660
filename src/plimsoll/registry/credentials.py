"""Who we are to a registry: what `docker login`, `podman login` or a mounted pull secret left in a config.json.

Sources: docs.docker.com, "docker login" (auths, credHelpers, credsStore) and the docker-credential-helpers protocol;
containers-auth.json(5) for the paths that podman and skopeo use.
"""

from __future__ import annotations

import base64
import binascii
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from plimsoll.errors import TargetError
from plimsoll.registry.references import HUB

HELPER_LIMIT = 20.0
"""Seconds for a credential helper: it may ask a cloud's token service."""


class Credentials(Struct, frozen=True, kw_only=True):
    """A user's name with a password, or an identity token that is exchanged for access tokens. Empty is anonymous."""

    username: str = ""
    password: str = ""
    identity_token: str = ""

    def __bool__(self) -> bool:
        return bool(self.username or self.identity_token)


ANONYMOUS = Credentials()


def config_files() -> Iterator[Path]:
    """Where credentials may lie, most specific first."""
    if given := os.environ.get("REGISTRY_AUTH_FILE"):
        yield Path(given)
    yield Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        yield Path(runtime) / "containers" / "auth.json"


def find(registry: str, repository: str = "", config: Path | None = None) -> Credentials:
    """Credentials for a repository, from `config` or from the first of the usual files that knows the registry.

    Raises TargetError for a file or helper that is there and cannot be used: going on without would hide the cause.
    """
    if config is not None and not config.is_file():
        hint = "name a docker config.json (a mounted pull secret's file is called .dockerconfigjson)"
        raise TargetError("there are no registry credentials at this path", where=str(config), hint=hint)
    for path in [config] if config is not None else config_files():
        if path.is_file() and (found := _in_file(path, registry, repository)):
            return found
    return ANONYMOUS


def _in_file(path: Path, registry: str, repository: str) -> Credentials:
    try:
        content = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        auths = dict(content.get("auths") or {})
        helpers = dict(content.get("credHelpers") or {})
        store = str(content.get("credsStore") or "")
        for key in _keys(registry, repository):
            if key in helpers:
                return _ask(str(helpers[key]), key, path)
            if auths.get(key):
                return _plain(dict(auths[key]))
        for key in _keys(registry, ""):
            if store and (found := _ask(store, key, path)):
                return found
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, ValueError, TypeError, AttributeError) as error:
        reason = getattr(error, "strerror", None) or error
        hint = "log in again (docker login, podman login, skopeo login), or correct the file"
        raise TargetError(f"the registry credentials cannot be read: {reason}", where=str(path), hint=hint) from error
    return ANONYMOUS


def _keys(registry: str, repository: str) -> Iterator[str]:
    """What an entry for a repository may be called: podman's longest path first, then the host as docker writes it."""
    parts = repository.split("/") if repository else []
    for length in range(len(parts), 0, -1):
        yield "/".join([registry, *parts[:length]])
    yield registry
    yield from (f"https://{registry}", f"https://{registry}/v2/", f"https://{registry}/v1/", f"http://{registry}")
    if registry == HUB:
        yield from ("https://index.docker.io/v1/", "index.docker.io")


def _plain(entry: dict[str, Any]) -> Credentials:
    username, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if encoded := entry.get("auth"):
        try:
            username, _, password = base64.b64decode(str(encoded), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise ValueError("an 'auth' is not base64 of user:password") from None
    token = str(entry.get("identitytoken") or "")
    return Credentials(username=username, password=password.rstrip("\0"), identity_token=token)


def _ask(helper: str, key: str, path: Path) -> Credentials:
    program = f"docker-credential-{helper}"
    try:
        ended = subprocess.run(
            [program, "get"], input=key, capture_output=True, text=True, timeout=HELPER_LIMIT, check=False
        )
    except FileNotFoundError:
        hint = f"install {program}, or log in without it"
        raise TargetError(f"the credential helper {program} is not on PATH", where=str(path), hint=hint) from None
    except subprocess.TimeoutExpired:
        message = f"the credential helper {program} has not answered within {HELPER_LIMIT:g} s"
        raise TargetError(message, where=str(path), hint=f"try it by hand: echo {key} | {program} get") from None
    if ended.returncode != 0:
        # Helpers say by this that they have none for the server; anonymous access may do.
        return ANONYMOUS
    answer = msgspec.json.decode(ended.stdout, type=dict[str, str])
    username, secret = answer.get("Username", ""), answer.get("Secret", "")
    if username == "<token>":
        return Credentials(identity_token=secret)
    return Credentials(username=username, password=secret)
