"""The configuration of a server for a service, the same on every target. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from msgspec.structs import replace

from plimsoll.kinds.serve import ModelShare, Serve
from plimsoll.kinds.service_settings import Audit, Telemetry
from plimsoll.planning.steps import InputFile
from plimsoll.runtime.explain.sampled_settings import SampledSettings
from plimsoll.runtime.server.service_file import Batching, ModelFile, ServiceFile
from plimsoll.runtime.server.traffic import Share

BATCH_ROWS = 64
"""Limit of rows in one batch for a service with a promised latency: above it, latency grows faster than throughput."""
BATCH_WAIT = 0.1
"""The fraction of the promised latency that a request may wait for a batch."""
PROMISED = "accuracy"
"""The metric of a model that late labels are compared with."""


def shares_of(work: Serve) -> list[ModelShare]:
    """The shares of a service, the largest first; a single share for a service of one model."""
    single = ModelShare(model=work.model, register_key=work.register_key)
    return sorted(work.shares or [single], key=lambda share: -share.weight)


def service_file(work: Serve, found: Sequence[tuple[ModelShare, ModelFile]]) -> ServiceFile:
    """Build the service file of a server from shares and the files of their versions.

    `m` and `m@1` may be the same version, as long as there is no second one; their shares are then added.
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


def without_version(content: ServiceFile, model: str, version: str) -> ServiceFile:
    """A service file in which nothing leads to a version; the largest share of the others gets what it had."""
    left = [each for each in content.traffic.get(model, ()) if each.version != version]
    if left:
        first = max(left, key=lambda share: share.weight)
        rest = sum(share.weight for share in left if share is not first)
        left = [replace(each, weight=100 - rest) if each is first else each for each in left]
    return replace(
        content,
        models=tuple(each for each in content.models if (each.name, each.version) != (model, version)),
        traffic={**content.traffic, model: tuple(left)} if model in content.traffic else content.traffic,
        former={name: each for name, each in content.former.items() if (name, each) != (model, version)},
    )


def shares_sentence(content: ServiceFile, model: str) -> str:
    """Which versions the requests of a service go to: "requests: 90 % to triage@1, 10 % to triage@2"."""
    newest_alone = max((file.version for file in content.models if file.name == model), key=int, default="")
    shares = content.traffic.get(model) or (Share(version=newest_alone, weight=100),)
    told = [
        f"{share.weight} % to {model}@{share.version}{_beside(share)}"
        for share in sorted(shares, key=lambda share: -share.weight)
        if share.weight or share.headers or share.shadow
    ]
    return f"requests: {', '.join(told)}"


def _beside(share: Share) -> str:
    """What a version gets beside its weight."""
    words = [f"{name}: {value}" for name, value in share.headers.items()]
    copies = [f"a copy of {share.shadow} %"] if share.shadow else []
    return f" ({', '.join([*words, *copies])})" if words or copies else ""


def table_id(table: InputFile, code: str = "") -> str:
    """The identifier of a drift reference's table: the key of its step and its file.

    `code` is the identity of the user's own code that answers: another code gives other outputs for the same table.
    """
    return f"{table.key}/{table.file or ''}" + (f"/{code}" if code else "")


def observer_option(
    service: str,
    telemetry: Telemetry,
    log: Callable[[str], str],
    drift: Sequence[dict[str, object]],
    drift_file: str = "",
    audit_key: str = "",
    explain: SampledSettings | None = None,
) -> str:
    """The value of a server's `--observer` option for a service; `log` maps the name of a log to its path.

    `audit_key` is the directory of the key that signs the audit log.
    `drift_file` names the versions to watch as `drift` does, and is followed as it changes. `explain` is for models
    that are no trees.
    """
    settings: dict[str, object] = {"service": service}
    for name, enabled in (("access", telemetry.access), ("audit", telemetry.audit)):
        if enabled:
            settings[f"{name}_log"] = log(name)
    if isinstance(telemetry.audit, Audit):
        settings["audit_full"] = telemetry.audit.full
    if audit_key:
        settings["audit_key"] = audit_key
    settings |= {"payloads": telemetry.payloads, "traces": telemetry.traces, "drift": list(drift)}
    if drift_file:
        settings["drift_file"] = drift_file
    if explain is not None:
        settings["explain"] = explain
    return f"plimsoll.telemetry.service:watch={msgspec.json.encode(settings).decode()}"


def drift_watch(version: str, reference: str, log: str, promised: float | None) -> dict[str, object]:
    """The settings that watch one version's drift."""
    settings: dict[str, object] = {"reference": reference, "version": version, "log": log}
    return settings | ({} if promised is None else {"promised": promised})
