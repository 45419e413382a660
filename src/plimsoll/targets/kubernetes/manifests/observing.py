"""How servers watch themselves: the observer they start with, and what it needs in their pod."""

from __future__ import annotations

from typing import Any

import msgspec

from plimsoll.runtime.errand import REFERENCE, WORK
from plimsoll.targets.kubernetes.manifests.groups import Served
from plimsoll.targets.kubernetes.manifests.models import brought

Manifest = dict[str, Any]
VARIABLES = "plimsoll-telemetry"
"""A Secret of the namespace with the variables OTEL_*: where traces go, and what lets them in."""
_STANDARD_OUTPUT = "-"


def observer(served: Served) -> list[str]:
    """Words of the server's command. Logs go to standard output, where the cluster takes them from."""
    settings: dict[str, Any] = {"service": served.service}
    for log, wanted in (("access_log", served.telemetry.access), ("audit_log", served.telemetry.audit)):
        if wanted:
            settings[log] = _STANDARD_OUTPUT
    settings |= {"payloads": served.telemetry.payloads, "traces": served.telemetry.traces}
    settings["drift"] = [_drift(served, version) for version in sorted(served.watched)]
    return ["--observer", f"plimsoll.telemetry.service:watch={msgspec.json.encode(settings).decode()}"]


def variables(served: Served) -> Manifest:
    """What of the container's environment comes from elsewhere."""
    return {"envFrom": [{"secretRef": {"name": VARIABLES, "optional": True}}]} if served.telemetry.traces else {}


def with_references(pod: Manifest, served: Served) -> Manifest:
    """The pod with what drift is judged against in it."""
    image = served.image
    inits = [
        brought(f"reference-{version}", ["plimsoll.runtime.bring", each.reference, "--output", _place(version)], image)
        for version, each in sorted(served.watched.items())
    ]
    spec = pod["spec"]
    return {**pod, "spec": {**spec, "initContainers": [*spec.get("initContainers", []), *inits]}}


def _place(version: str) -> str:
    return f"{WORK}/drift/{version}"


def _drift(served: Served, version: str) -> dict[str, Any]:
    promised = served.watched[version].promised
    settings = {"reference": f"{_place(version)}/{REFERENCE}", "version": version, "log": _STANDARD_OUTPUT}
    return settings | ({} if promised is None else {"promised": promised})
