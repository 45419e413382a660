"""Credentials for a registry, from the config.json of `docker login`, `podman login` or a mounted pull secret.

Sources: docs.docker.com, "docker login" (auths, credHelpers, credsStore) and the docker-credential-helpers protocol;
containers-auth.json(5) for the paths that podman and skopeo use.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import TargetError
from plimsoll.home import home
from plimsoll.registry.credential_helpers import ask_helper
from plimsoll.registry.references import HUB


class Credentials(Struct, frozen=True, kw_only=True):
    """A user name with a password, or an identity token that is exchanged for access tokens. Empty means anonymous.

    `problem` is what a credential helper said that gave none, for when the registry wants some.
    """

    username: str = ""
    password: str = ""
    identity_token: str = ""
    problem: str = ""

    def __bool__(self) -> bool:
        return bool(self.username or self.identity_token)


ANONYMOUS = Credentials()


@decodable
class _ConfigFile(Struct, frozen=True, rename="camel"):
    auths: dict[str, dict[str, object] | None] | None = None
    cred_helpers: dict[str, str] | None = None
    creds_store: str | None = None


def config_files() -> Iterator[Path]:
    """The files that may have credentials, most specific first."""
    if given := os.environ.get("REGISTRY_AUTH_FILE"):
        yield Path(given)
    if named := os.environ.get("DOCKER_CONFIG"):
        yield Path(named) / "config.json"
    elif (found := home()) is not None:
        yield found / ".docker" / "config.json"
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        yield Path(runtime) / "containers" / "auth.json"


def find_credentials(registry: str, repository: str = "", config: Path | None = None) -> Credentials:
    """Find credentials for a repository, in `config` or in the first of the usual files that has the registry.

    Raises TargetError for a file or helper that exists and fails: anonymous access would hide the cause.
    """
    if config is not None and not config.is_file():
        hint = "name a Docker config.json; in a mounted pull secret the file is .dockerconfigjson"
        raise TargetError("there is no file with registry credentials at this path", where=str(config), hint=hint)
    problem = ""
    for path in [config] if config is not None else config_files():
        found = _find_in_file(path, registry, repository) if path.is_file() else ANONYMOUS
        if found:
            return found
        problem = problem or found.problem
    return Credentials(problem=problem) if problem else ANONYMOUS


def _find_in_file(path: Path, registry: str, repository: str) -> Credentials:
    try:
        content = msgspec.json.decode(path.read_bytes(), type=_ConfigFile)
        auths, helpers, store = content.auths or {}, content.cred_helpers or {}, content.creds_store
        problem = ""
        for key in _entry_names(registry, repository):
            if key in helpers:
                return _ask_helper(helpers[key], key, path)
            if entry := auths.get(key):
                return _from_auth_entry(entry)
        for key in _entry_names(registry, ""):
            found = _ask_helper(store, key, path) if store else ANONYMOUS
            if found:
                return found
            problem = problem or found.problem
    except (*UNREADABLE, OSError, ValueError, TypeError, AttributeError) as error:
        reason = getattr(error, "strerror", None) or error
        hint = "log in again (docker login, podman login, skopeo login), or correct the file"
        raise TargetError(f"cannot read the registry credentials: {reason}", where=str(path), hint=hint) from error
    return Credentials(problem=problem) if problem else ANONYMOUS


def _entry_names(registry: str, repository: str) -> Iterator[str]:
    """Possible names of a repository's entry: the longest path first (podman), then the host as Docker writes it."""
    parts = repository.split("/") if repository else []
    for length in range(len(parts), 0, -1):
        yield "/".join([registry, *parts[:length]])
    yield registry
    yield from (f"https://{registry}", f"https://{registry}/v2/", f"https://{registry}/v1/", f"http://{registry}")
    if registry == HUB:
        yield from ("https://index.docker.io/v1/", "index.docker.io")


def _from_auth_entry(entry: Mapping[str, object]) -> Credentials:
    username, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if encoded := entry.get("auth"):
        try:
            username, _, password = base64.b64decode(str(encoded), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise ValueError("an 'auth' value is not base64 of user:password") from None
    token = str(entry.get("identitytoken") or "")
    return Credentials(username=username, password=password.rstrip("\0"), identity_token=token)


def _ask_helper(helper: str, key: str, path: Path) -> Credentials:
    found = ask_helper(f"docker-credential-{helper}", key, str(path))
    if found.problem:
        # A helper fails this way when it has no credentials for the server. Anonymous access may still work.
        return Credentials(problem=found.problem)
    answer = msgspec.json.decode(found.content, type=dict[str, str])
    username, secret = answer.get("Username", ""), answer.get("Secret", "")
    if username == "<token>":
        return Credentials(identity_token=secret)
    return Credentials(username=username, password=secret)
