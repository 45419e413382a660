"""What is known of a service when a version goes into quarantine: copies with their digests, signed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from plimsoll.errors import TargetError
from plimsoll.files import open_descriptor, read_digest, replace_file
from plimsoll.registry.versions import ModelVersion
from plimsoll.signing.dsse import sign_payload, statement
from plimsoll.signing.keys import KeyRing
from plimsoll.state.directory import StateDirectory

PREDICATE = "https://plimsoll.dev/quarantine-evidence/v1"
STATEMENT = "statement.dsse.json"


def take_snapshot(state: StateDirectory, file: Path, service: str, version: ModelVersion, reason: str) -> Path:
    """Copy what there is, and sign the digests of the copies. Returns the directory. Raises TargetError."""
    now = datetime.now(UTC)
    final = state.root / "quarantine" / f"{service or version.name}-{version.version}-{now:%Y%m%dT%H%M%S%f}"
    temporary = final.with_name(f".{final.name}")
    try:
        temporary.mkdir(parents=True, mode=0o700)
        digests = {}
        for name, source in _sources(state, file, service):
            copy = temporary / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy)
            with open_descriptor(copy) as descriptor:
                digests[name] = read_digest(descriptor).removeprefix("sha256:")
        model = temporary / "version.json"
        replace_file(model, msgspec.json.encode(version))
        with open_descriptor(model) as descriptor:
            digests["version.json"] = read_digest(descriptor).removeprefix("sha256:")
        about = statement(
            digests, PREDICATE, {"service": service, "version": version.reference, "digest": version.digest,
                                 "reason": reason, "at": now},
        )  # fmt: skip
        replace_file(temporary / STATEMENT, sign_payload(msgspec.json.encode(about), KeyRing.default()).envelope)
        temporary.rename(final)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        message = f"the evidence could not be kept: {error.strerror or error}"
        raise TargetError(message, where=str(error.filename or final)) from error
    return final


def _sources(state: StateDirectory, file: Path, service: str) -> Iterator[tuple[str, Path]]:
    """Names in the snapshot and files that are there: logs, what is served, moves, the application file."""
    found = [("plimsoll.yaml", file), ("moves.jsonl", state.moves)]
    if service:
        found += [(f"logs/{path.name}", path) for path in sorted((state.service_logs / service).glob("*"))]
        found += [(f"service/{path.name}", path) for path in sorted((state.services / service).glob("*.json"))]
        certificates = state.audit_keys / service / "certificates"
        found += [(f"audit-key/{path.name}", path) for path in sorted(certificates.glob("*.json"))]
    for name, path in found:
        if path.is_file():
            yield name, path
