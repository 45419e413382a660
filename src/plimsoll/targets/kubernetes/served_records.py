"""What services serve, as their records on the cluster say."""

from __future__ import annotations

import contextlib

import msgspec

from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.attempt import ClusterContext
from plimsoll.targets.kubernetes.manifests.groups import ServedVersions
from plimsoll.targets.kubernetes.manifests.serving import RECORD, SERVED


def served_records(context: ClusterContext) -> list[ServedVersions]:
    """The records of an application's services; those of a version that cannot be read are left out."""
    selector = names.selector(names.of_application(context.application))
    found = []
    for each in context.api.list("v1", "ConfigMap", context.namespace, selector):
        if each["metadata"]["name"].endswith(RECORD) and SERVED in each.get("data", {}):
            with contextlib.suppress(msgspec.DecodeError):
                found.append(msgspec.json.decode(each["data"][SERVED], type=ServedVersions))
    return found
