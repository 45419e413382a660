"""Gatekeeper: admission by policies in Rego."""

from __future__ import annotations

from lab.addons import upstream
from lab.addons.catalogue import AddonContent
from lab.addons.webhooks import wait_for_ca_bundle
from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from lab.images.archive import Image
from lab.images.names import built_image_name

NAMESPACE = "gatekeeper-system"
_WEBHOOKS = "gatekeeper-validating-webhook-configuration"
_PROGRAMS = ("gatekeeper-audit", "gatekeeper-controller-manager")


def gatekeeper() -> AddonContent:
    """Gatekeeper from upstream's plain manifest, with one replica."""
    component = BY_NAME["gatekeeper"]
    binary = folder_of(component) / "gatekeeper"
    image = Image(
        (built_image_name("gatekeeper", component),), {"manager": binary}, entrypoint=("/manager",), user="1000:999"
    )
    manifests = upstream.with_image(upstream.read_files("gatekeeper", "deploy/gatekeeper.yaml"), image.names[0])
    upstream.each_container(upstream.with_fast_readiness(manifests), lambda container: container.pop("resources", None))
    for name in _PROGRAMS:
        upstream.find(manifests, "Deployment", name)["spec"]["replicas"] = 1
    definitions = [each for each in manifests if each["kind"] in ("CustomResourceDefinition", "Namespace")]
    rest = [each for each in manifests if each["kind"] not in ("CustomResourceDefinition", "Namespace")]
    return AddonContent(
        images=[image],
        stages=[definitions, rest],
        ready=[(NAMESPACE, f"deployment/{name}") for name in _PROGRAMS],
        finish=lambda: wait_for_ca_bundle("gatekeeper", _WEBHOOKS),
    )
