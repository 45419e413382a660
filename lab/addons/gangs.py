"""JobSet and Kueue: groups of jobs, and their admission as a whole or not at all."""

from __future__ import annotations

import os
from dataclasses import replace

from lab import nodes
from lab.addons import upstream
from lab.addons.catalogue import AddonContent
from lab.addons.webhooks import wait_for_ca_bundle
from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from lab.documents import json_list
from lab.images.archive import Image
from lab.images.names import built_image_name
from lab.kubectl import apply

QUEUE = "lab"


def jobset() -> AddonContent:
    """JobSet in upstream's default configuration."""
    return _controller(
        "jobset", "jobset-system", "jobset-controller-manager", "jobset-validating-webhook-configuration"
    )


def kueue() -> AddonContent:
    """Kueue in upstream's default configuration, extended to queue plain pods."""
    prepared = _controller(
        "kueue", "kueue-system", "kueue-controller-manager", "kueue-validating-webhook-configuration"
    )
    manifests = [each for stage in prepared.stages for each in stage]
    settings = upstream.find(manifests, "ConfigMap", "kueue-manager-config")["data"]
    name = "controller_manager_config.yaml"
    settings[name] = settings[name].replace('- "batch/job"', '- "batch/job"\n  - "pod"', 1)

    def open_queue() -> None:
        wait_for_ca_bundle("kueue", "kueue-validating-webhook-configuration")
        apply(json_list(_cluster_queue(len(nodes.all_nodes()))))

    return replace(prepared, finish=open_queue)


def _cluster_queue(count: int) -> list[upstream.Manifest]:
    """A queue for all namespaces with the capacity of the present nodes. Without a queue Kueue admits nothing."""
    quotas = {"cpu": count * (os.cpu_count() or 1), "memory": f"{count * 4}Gi", "plimsoll.dev/accelerator": count * 2}
    flavor = {"name": QUEUE, "resources": [{"name": name, "nominalQuota": quota} for name, quota in quotas.items()]}
    groups = [{"coveredResources": list(quotas), "flavors": [flavor]}]
    version = "kueue.x-k8s.io/v1beta1"
    return [
        {"apiVersion": version, "kind": "ResourceFlavor", "metadata": {"name": QUEUE}, "spec": {}},
        {
            "apiVersion": version,
            "kind": "ClusterQueue",
            "metadata": {"name": QUEUE},
            "spec": {"namespaceSelector": {}, "resourceGroups": groups},
        },
    ]


def _controller(component: str, namespace: str, deployment: str, webhook: str) -> AddonContent:
    image = Image(
        (built_image_name(component, BY_NAME[component]),),
        {"manager": folder_of(BY_NAME[component]) / component},
        entrypoint=("/manager",),
        user="65532:65532",
    )
    manifests = upstream.with_image(upstream.render_kustomization(component, "config/default"), image.names[0])
    # The few objects of a lab cause two requests a second, which need no reserved half core.
    upstream.each_container(upstream.with_fast_readiness(manifests), lambda container: container.pop("resources", None))
    definitions = [each for each in manifests if each["kind"] in ("CustomResourceDefinition", "Namespace")]
    rest = [each for each in manifests if each["kind"] not in ("CustomResourceDefinition", "Namespace")]
    return AddonContent(
        images=[image],
        stages=[definitions, rest],
        ready=[(namespace, f"deployment/{deployment}")],
        finish=lambda: wait_for_ca_bundle(component, webhook),
    )
