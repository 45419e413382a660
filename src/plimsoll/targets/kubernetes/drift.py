"""What the servers of a service say of drift, asked through the API server's proxy to each pod."""

from __future__ import annotations

from msgspec import Struct

from plimsoll.decoding import decodable
from plimsoll.kubernetes.api import Api, ApiError
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.manifests.groups import PORT
from plimsoll.targets.kubernetes.manifests.scaling import ACTIVATOR
from plimsoll.telemetry.drift.state import DriftState, merge_states


@decodable
class _DriftPage(Struct, frozen=True):
    versions: tuple[DriftState, ...] = ()


def drift_of(api: Api, application: str, namespace: str, service: str) -> list[DriftState]:
    """The drift of each version, merged over all servers. A pod that does not answer is left out."""
    selector = names.selector({**names.of_application(application), names.SERVICE: service})
    selector += f",{names.VERSION}!={ACTIVATOR}"
    states: list[DriftState] = []
    for pod in api.list("v1", "Pod", namespace, selector):
        place = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}:{PORT}/proxy/v2/drift"
        try:
            states += api.request("GET", place, shape=_DriftPage).versions
        except ApiError as error:
            if error.lacks is not None:
                raise
    return merge_states(states)
