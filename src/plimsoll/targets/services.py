"""What a server is told of a service, the same on every target. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from plimsoll.kinds.service import ModelShare, Serve, Telemetry
from plimsoll.planning.steps import InputFile
from plimsoll.runtime.server.service_file import Batching, ModelFile, ServiceFile
from plimsoll.runtime.server.traffic import Share

BATCH_ROWS = 64
"""Rows computed together at most where a latency is promised: beyond it runs get longer faster than fewer."""
BATCH_WAIT = 0.1
"""The part of the promised latency that a request may wait for others."""
PROMISED = "accuracy"
"""The figure of a model that late labels are compared with."""


def shares_of(work: Serve) -> list[ModelShare]:
    """The shares of a service, the one with the largest first; one for a service of one model."""
    single = ModelShare(model=work.model, register_key=work.register_key)
    return sorted(work.shares or [single], key=lambda share: -share.weight)


def service_file(work: Serve, found: Sequence[tuple[ModelShare, ModelFile]]) -> ServiceFile:
    """Shares with the files of their versions to what a server reads.

    `m` and `m@1` are the same version until there is a second: their shares are then one.
    """
    files: dict[str, ModelFile] = {}
    shares: dict[str, Share] = {}
    for share, file in found:
        files[file.version] = file
        before = shares.get(file.version, Share(version=file.version))
        shares[file.version] = Share(
            version=file.version,
            weight=before.weight + share.weight,
            headers={**before.headers, **{word.lower(): value for word, value in share.headers.items()}},
            shadow=max(before.shadow, share.shadow),
        )
    name = found[0][1].name
    batching = {}
    if work.latency is not None:
        batching[name] = Batching(rows=BATCH_ROWS, wait=BATCH_WAIT * work.latency, budget=work.latency)
    return ServiceFile(models=tuple(files.values()), traffic={name: tuple(shares.values())}, batching=batching)


def data_of(table: InputFile) -> str:
    """What the table of a drift reference is known by."""
    return f"{table.key}/{table.file or ''}"


def observer(service: str, telemetry: Telemetry, log: Callable[[str], str], drift: Sequence[dict[str, Any]]) -> str:
    """What a server watches itself with, as its option says it; `log` gives the place of a log by its name."""
    settings: dict[str, Any] = {"service": service}
    for name, wanted in (("access", telemetry.access), ("audit", telemetry.audit)):
        if wanted:
            settings[f"{name}_log"] = log(name)
    settings |= {"payloads": telemetry.payloads, "traces": telemetry.traces, "drift": list(drift)}
    return f"plimsoll.telemetry.service:watch={msgspec.json.encode(settings).decode()}"


def drift_watch(version: str, reference: str, log: str, promised: float | None) -> dict[str, Any]:
    """How one version's drift is watched."""
    settings = {"reference": reference, "version": version, "log": log}
    return settings | ({} if promised is None else {"promised": promised})
