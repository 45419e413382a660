"""Which versions the services on a cluster need, by their records."""

from __future__ import annotations

from collections.abc import Iterator

from plimsoll.kubernetes.api import Api
from plimsoll.targets.features import VersionUse
from plimsoll.targets.kubernetes.standing import records


def version_uses(api: Api, application: str, namespace: str) -> list[VersionUse]:
    """The versions of all services that have a record. Raises ApiError where records may not be read."""
    return list(_uses(api, application, namespace))


def _uses(api: Api, application: str, namespace: str) -> Iterator[VersionUse]:
    for record in records(api, application, namespace):
        service, file = record.served.service, record.served.file
        who = f"service {service}"
        for each in file.models:
            if each.assistant is not None:
                # It has no version of its own: what it answers by stands beside it.
                continue
            reference = each.reference if each.llm is not None else f"{each.name}@{each.version}"
            if reference:
                # That of an endpoint is nobody's of here.
                yield VersionUse(reference=reference, service=service, who=who)
        for model, version in file.former.items():
            yield VersionUse(reference=f"{model}@{version}", service=service, who=f"a rollback of {who}")
