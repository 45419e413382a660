"""Whether an image may run: which manifest its name means now, and which trusted key has signed that."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from plimsoll.errors import ModelRefused
from plimsoll.registry.cosign import verify_artifact
from plimsoll.registry.references import Reference, parse_reference
from plimsoll.registry.repository import Repository
from plimsoll.signing.keys import KeyFiles
from plimsoll.signing.notes import LogKey

KNOWN_FOR = 60.0
"""Seconds for which a manifest that was verified need not be verified again: a key that is revoked counts until then,
or until the files of the keys change."""
MOST_KNOWN = 4096


class Trust(Struct, frozen=True, kw_only=True):
    """What is asked of an image.

    `keys` is a file or directory of public keys, `registries` where images may come from (`host` or `host/path`).
    `reached` maps names of registries as nodes have them to those by which they are reached here. `since` is the time
    before which no signature counts. `log` is the key of a transparency log that has to have the signature.
    """

    keys: Path
    registries: tuple[str, ...]
    reached: Mapping[str, str] = {}
    since: datetime | None = None
    log: LogKey | None = None


class Signatures:
    """Verifies images, and remembers for a while which were signed. Safe for several threads."""

    def __init__(self, trust: Trust) -> None:
        self._trust = trust
        self._known: dict[tuple[str, str], float] = {}
        self._keys: tuple[object, ...] = ()
        self._lock = threading.Lock()

    def verified(self, image: str) -> str:
        """The digest that an image means, when it is signed. Raises ModelRefused, FileError or RegistryError."""
        reference = self._within(image)
        with Repository(reference) as repository:
            digest = reference.digest or repository.manifest().digest
            if not self._is_known(reference.name, digest):
                self._verify(repository, digest)
                self._remember(reference.name, digest)
        return digest

    def _within(self, image: str) -> Reference:
        """The reference as it is reached here. Raises ModelRefused for a place that images may not come from."""
        reference = parse_reference(image)
        if reference.registry != reference.registry.lower():
            hint = f"write {reference.registry.lower()}: programs do not agree on what it means otherwise"
            raise ModelRefused("the name of the registry has capitals", where=image[:300], hint=hint)
        if not any(_is_below(reference.name, each) for each in self._trust.registries):
            listed = ", ".join(self._trust.registries)
            raise ModelRefused("images may not come from there", where=image[:300], hint=f"take it from {listed}")
        return replace(reference, registry=self._trust.reached.get(reference.registry, reference.registry))

    def _verify(self, repository: Repository, digest: str) -> None:
        found = verify_artifact(repository, digest, KeyFiles(self._trust.keys), log=self._trust.log)
        since = self._trust.since
        if since is not None and (found.at is None or found.at < since):
            how = f"it was signed on {found.at:%Y-%m-%d %H:%M} UTC" if found.at else "its signature says no time"
            raise ModelRefused(
                f"{how}, and what was signed before {since:%Y-%m-%d %H:%M} UTC was rolled back",
                where=str(repository.reference.at(digest)),
                hint="deploy a newer one, or have this one signed again: plimsoll image sign --again",
            )

    def _is_known(self, name: str, digest: str) -> bool:
        with self._lock:
            keys = fingerprint(self._trust.keys)
            if keys != self._keys:
                self._keys = keys
                self._known.clear()
            return self._known.get((name, digest), 0.0) > time.monotonic()

    def _remember(self, name: str, digest: str) -> None:
        with self._lock:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[name, digest] = time.monotonic() + KNOWN_FOR


def fingerprint(path: Path) -> tuple[object, ...]:
    """What changes when a file of the keys does; empty when they cannot be read."""
    try:
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        return tuple((each.name, each.stat().st_mtime_ns, each.stat().st_size) for each in files)
    except OSError:
        return ()


def _is_below(name: str, allowed: str) -> bool:
    """Whether a repository is at a place or below it: `registry.example/shop` is not below `registry.example/sho`."""
    return name == allowed or name.startswith(allowed.rstrip("/") + "/")
