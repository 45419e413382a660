"""The key under which results are encrypted, in the pods that need it: from a Secret, as a file that they may read."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import PurePosixPath

from plimsoll.kubernetes.api import Manifest
from plimsoll.runtime.pod_task import KEY_FILE

_VOLUME = "encryption"
_OWNER_ALONE = 0o400


def with_key(pod: Manifest, secret: str, containers: Collection[str]) -> Manifest:
    """The pod with the key of a Secret, `NAME/ENTRY`, in some containers. Without the Secret it does not start."""
    name, _, entry = secret.partition("/")
    place = PurePosixPath(KEY_FILE)
    items = [{"key": entry, "path": place.name}]
    volume = {"name": _VOLUME, "secret": {"secretName": name, "items": items, "defaultMode": _OWNER_ALONE}}
    mount = {"name": _VOLUME, "mountPath": str(place.parent), "readOnly": True}
    spec = {**pod["spec"], "volumes": [*pod["spec"].get("volumes", []), volume]}
    for kind in ("containers", "initContainers"):
        if kind in spec:
            spec[kind] = [
                {**each, "volumeMounts": [*each.get("volumeMounts", []), mount]} if each["name"] in containers else each
                for each in spec[kind]
            ]
    return {**pod, "spec": spec}
