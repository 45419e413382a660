"""KEDA: scales workloads to zero and back by the metrics of other systems."""

from __future__ import annotations

from lab.addons import upstream
from lab.addons.catalogue import AddonContent
from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from lab.images.archive import Image
from lab.images.names import built_image_name
from lab.kubectl import kubectl, wait

NAMESPACE = "keda"
_NOBODY = "65532:65532"


def keda() -> AddonContent:
    """Operator and metrics adapter in upstream's minimal configuration, without KEDA's admission webhooks."""
    operator, adapter = _image("keda"), _image("keda-adapter")
    manifests = upstream.render_kustomization("keda", "config/minimal")
    images = {"keda-operator": operator.names[0], "keda-metrics-apiserver": adapter.names[0]}

    def change(container: upstream.Manifest) -> None:
        container["image"] = images[container["name"]]
        container["imagePullPolicy"] = "IfNotPresent"
        container["resources"] = {"requests": {"cpu": "20m", "memory": "64Mi"}}

    upstream.each_container(upstream.with_fast_readiness(manifests), change)
    definitions = [each for each in manifests if each["kind"] in ("CustomResourceDefinition", "Namespace")]
    rest = [each for each in manifests if each not in definitions]
    ready = [(NAMESPACE, f"deployment/{name}") for name in images]
    return AddonContent([operator, adapter], [definitions, rest], ready, _wait_for_external_metrics)


def _image(program: str) -> Image:
    component = BY_NAME["keda"]
    files = {program: folder_of(component) / program}
    return Image((built_image_name(program, component),), files, entrypoint=(f"/{program}",), user=_NOBODY)


def _wait_for_external_metrics() -> None:
    """Waits until autoscalers get answers. The adapter starts only after the operator has made its certificate."""

    def missing() -> str | None:
        kubectl("get", "--raw", "/apis/external.metrics.k8s.io/v1beta1")
        return None

    wait("the external metrics", missing, 120)
