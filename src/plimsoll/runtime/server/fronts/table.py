"""The fronts that share the HTTP port, by name. A new one is a line here."""

from __future__ import annotations

from collections.abc import Callable

from plimsoll.runtime.server.data_plane import DataPlane
from plimsoll.runtime.server.fronts.front import HttpFront
from plimsoll.runtime.server.fronts.mount import Mount
from plimsoll.runtime.server.fronts.open_inference_http.front import OpenInferenceHttp
from plimsoll.runtime.server.fronts.openai.front import OpenAi
from plimsoll.runtime.server.fronts.retrieval_http import RetrievalHttp
from plimsoll.runtime.server.fronts.sagemaker_http import SageMakerHttp
from plimsoll.runtime.server.hosts import KnownHosts

HTTP_FRONTS: dict[str, Callable[[DataPlane], HttpFront]] = {
    "open-inference": OpenInferenceHttp,
    "openai": OpenAi,
    "retrieval": RetrievalHttp,
    "sagemaker": SageMakerHttp,
}
"""In the order in which they are asked for a path; the first also answers paths that belong to none."""


def mount(plane: DataPlane, hosts: KnownHosts | None = None) -> Mount:
    """All of them over a data plane, whose versions are prepared for each when they are loaded from now on."""
    mounted = Mount(plane, [make(plane) for make in HTTP_FRONTS.values()], hosts)
    plane.catalog.prepare = mounted.prepare
    return mounted
