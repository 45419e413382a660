"""The Secret by which the servers of a service know their callers: digests of tokens, public keys, and a token of runs.

It belongs to the record of the service, and goes with it.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from plimsoll.errors import RequestError, TargetError
from plimsoll.kinds.serve import Serve
from plimsoll.kubernetes.api import ApiError, Manifest
from plimsoll.runtime import client
from plimsoll.runtime.client import calling_as
from plimsoll.runtime.server.identities.cluster_settings import leave_to_ask
from plimsoll.runtime.server.identities.token_file import PREFIX, Token, TokenFile, digest, read_token_file
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.attempt import ClusterContext
from plimsoll.targets.kubernetes.manifests.callers import KEYS, RUN, TOKENS, account_of, secret_name
from plimsoll.targets.kubernetes.manifests.groups import ServedVersions
from plimsoll.targets.kubernetes.manifests.serving import RECORD
from plimsoll.targets.kubernetes.own_objects import OwnObjects

OF_RUNS = "plimsoll-run"
"""Whose the token is that runs test a service with."""
LARGEST = 900 << 10
"""Bytes of a file that a Secret has room for."""
NOBODY = f"{PREFIX}of-nobody"
"""A token that is sent to see whether the cluster is asked, and says no."""


def bring_callers(context: ClusterContext, work: Serve, served: ServedVersions, manifests: Sequence[Manifest]) -> str:
    """Have the Secret as the application says; gives the token of runs, empty for a service that asks nobody.

    It is made before the pods that wait for it. `manifests` are all of the service's. Raises TargetError, ApiError.
    """
    if served.auth is None or work.auth is None:
        return ""
    own = context.own
    own.require(manifests)
    record = next(each for each in manifests if _name(each).endswith(RECORD))
    own.apply(record)
    made = own.find(record)
    if made is None:
        raise TargetError("the record of the service was removed meanwhile", where=f"ConfigMap {_name(record)}")
    secret = secret_of(served)
    token = run_token(own, served) or PREFIX + secrets.token_urlsafe(32)
    data = _content(context.directory, work, token)
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": _name(record), "uid": made["metadata"]["uid"]}
    metadata = {**secret["metadata"], "ownerReferences": [owner]}
    own.apply({**secret, "metadata": metadata, "type": "Opaque", "data": data})
    return token


def forget_callers(own: OwnObjects, served: ServedVersions) -> bool:
    """Remove the Secret of a service that asks nobody any more, once no pod reads it; gives whether there was one.

    A user who may not touch Secrets has made none, and leaves it alone. Raises ApiError.
    """
    try:
        return own.delete(secret_of(served))
    except ApiError as error:
        if error.status != 403:
            raise
        return False


def secret_of(served: ServedVersions) -> Manifest:
    """The Secret of a service, without its content."""
    labels = {**names.of_application(served.application), names.SERVICE: served.service}
    metadata = {"name": secret_name(served), "labels": labels}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}


def run_token(own: OwnObjects, served: ServedVersions) -> str:
    """The token of runs that stands on the cluster; empty without one."""
    if served.auth is None:
        return ""
    found = own.find(secret_of(served)) or {}
    try:
        return base64.b64decode((found.get("data") or {}).get(RUN, ""), validate=True).decode("ascii").strip()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def require_judged(url: str, work: Serve, served: ServedVersions, namespace: str) -> None:
    """Raise TargetError when servers cannot ask the cluster about tokens: nobody would be let in by one."""
    if work.auth is None or work.auth.kubernetes is None:
        return
    try:
        with calling_as(NOBODY):
            client.metadata(url, served.file.models[0].name)
    except RequestError as error:
        if "status 401" in error.message:
            return
        hint = f"an administrator lets its account ask: {leave_to_ask(namespace, account_of(served))}"
        raise TargetError(
            f"the servers cannot ask the cluster whose a token is: {error.message}", where=url, hint=hint, lasting=True
        ) from error
    raise TargetError("the service lets in whoever sends any token", where=url, lasting=True)


def _content(directory: Path, work: Serve, token: str) -> Mapping[str, str]:
    """The files of the application as the Secret has them, with the token of runs among the others."""
    auth = work.auth
    assert auth is not None  # noqa: S101 - asked by whoever calls this
    given = read_token_file(directory / auth.tokens).tokens if auth.tokens else ()
    if any(each.name == OF_RUNS for each in given):
        hint = f"plimsoll token revoke {OF_RUNS} --file {auth.tokens}"
        raise TargetError(f"'{OF_RUNS}' is the name of the token of runs", where=auth.tokens, hint=hint)
    of_runs = Token(name=OF_RUNS, sha256=digest(token), roles=("infer",))
    found = {TOKENS: msgspec.json.encode(TokenFile(tokens=(*given, of_runs))), RUN: token.encode()}
    if auth.jwt is not None and auth.jwt.jwks and "://" not in auth.jwt.jwks:
        found[KEYS] = _read(directory / auth.jwt.jwks)
    for name, content in found.items():
        if len(content) > LARGEST:
            raise TargetError(f"{name} has more than the {LARGEST} bytes that a Secret has room for", lasting=True)
    return {name: base64.b64encode(content).decode() for name, content in found.items()}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TargetError(f"the keys cannot be read: {error.strerror}", where=str(path)) from error


def _name(manifest: Manifest) -> str:
    return str(manifest["metadata"]["name"])
