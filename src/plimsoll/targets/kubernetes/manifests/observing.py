"""How servers watch themselves: the observer they start with, and what it needs in their pod."""

from __future__ import annotations

from plimsoll.kubernetes.api import Manifest
from plimsoll.runtime.pod_task import REFERENCE_FILE, WORK
from plimsoll.targets.kubernetes.manifests.groups import ServedVersions
from plimsoll.targets.kubernetes.manifests.keys import with_key
from plimsoll.targets.kubernetes.manifests.models import brought
from plimsoll.targets.services import drift_watch, observer_option

VARIABLES = "plimsoll-telemetry"
"""A Secret of the namespace with the variables OTEL_*: where traces go, and what lets them in."""
_STANDARD_OUTPUT = "-"


def watching(served: ServedVersions) -> list[str]:
    """Words of the server's command. Logs go to standard output, where the cluster takes them from."""
    drift = [
        drift_watch(version, f"{_place(version)}/{REFERENCE_FILE}", _STANDARD_OUTPUT, each.promised)
        for version, each in sorted(served.watched.items())
    ]
    return ["--observer", observer_option(served.service, served.telemetry, lambda _: _STANDARD_OUTPUT, drift)]


def variables(served: ServedVersions) -> Manifest:
    """What of the container's environment comes from elsewhere."""
    return {"envFrom": [{"secretRef": {"name": VARIABLES, "optional": True}}]} if served.telemetry.traces else {}


def with_references(pod: Manifest, served: ServedVersions) -> Manifest:
    """The pod with what drift is judged against in it."""
    image = served.image
    inits = [
        brought(
            f"reference-{version}",
            [
                *("plimsoll.runtime.pull_artifact", each.reference, "--output", _place(version)),
                *(["--sealed"] if each.sealed else []),
            ],
            image,
        )
        for version, each in sorted(served.watched.items())
    ]
    spec = pod["spec"]
    pod = {**pod, "spec": {**spec, "initContainers": [*spec.get("initContainers", []), *inits]}}
    secret = next((each.sealed for each in served.watched.values() if each.sealed), "")
    return with_key(pod, secret, {each["name"] for each in inits}) if secret else pod


def _place(version: str) -> str:
    return f"{WORK}/drift/{version}"
