"""The training operators Kubeflow Trainer and KubeRay."""

from __future__ import annotations

from lab.addons import upstream
from lab.addons.catalogue import AddonContent
from lab.addons.webhooks import wait_for_answer, wait_for_ca_bundle
from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from lab.images.archive import Image
from lab.images.names import built_image_name
from lab.kubectl import get, kubectl, wait_for_rollout

_NOBODY = "65532:65532"


def trainer() -> AddonContent:
    """Kubeflow Trainer on the add-on JobSet. Upstream's runtimes are left out, as the lab cannot build their images."""
    namespace = "kubeflow-system"
    parts = ("crds", "manager", "rbac", "webhook")
    manifests = upstream.render_kustomization(
        "trainer", *(f"manifests/base/{part}" for part in parts), namespace=namespace
    )
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "kubeflow-trainer-webhook-cert", "namespace": namespace},
    }
    deployment = "kubeflow-trainer-controller-manager"
    return _operator("trainer", namespace, deployment, [*manifests, secret], finish=_wait_for_trainer)


def _wait_for_trainer() -> None:
    """Waits for the trainer's webhook, and restarts a Kueue that is older than the trainer.

    A Kueue that started first has a webhook for the trainer's jobs and does not know its runtimes. It refuses every job
    until it looks for them again, after minutes, or until it restarts.
    """
    wait_for_ca_bundle("trainer", "validator.trainer.kubeflow.org")
    if _kueue_started_earlier():
        kubectl("rollout", "restart", "deployment/kueue-controller-manager", "-nkueue-system")
        wait_for_rollout("kueue-system", "deployment/kueue-controller-manager")
    wait_for_answer("trainer", _TRAIN_JOB_WITHOUT_RUNTIME)


def _kueue_started_earlier() -> bool:
    since = get("customresourcedefinition", "trainjobs.trainer.kubeflow.org")["metadata"]["creationTimestamp"]
    starts = [each["status"].get("startTime", since) for each in get("pods", namespace="kueue-system")]
    return any(start <= since for start in starts)


_TRAIN_JOB_WITHOUT_RUNTIME = {
    "apiVersion": "trainer.kubeflow.org/v1alpha1",
    "kind": "TrainJob",
    "metadata": {"name": "nobody", "namespace": "default"},
    "spec": {"runtimeRef": {"apiGroup": "trainer.kubeflow.org", "kind": "TrainingRuntime", "name": "nobody"}},
}


def kuberay() -> AddonContent:
    """KubeRay in upstream's default configuration."""
    namespace = "kuberay-system"
    manifests = upstream.render_kustomization("kuberay", "config/default", namespace=namespace)
    return _operator("kuberay", namespace, "kuberay-operator", manifests)


def _operator(
    component: str,
    namespace: str,
    deployment: str,
    manifests: list[upstream.Manifest],
    finish: upstream.Finish | None = None,
) -> AddonContent:
    image = Image(
        (built_image_name(component, BY_NAME[component]),),
        {"manager": folder_of(BY_NAME[component]) / component},
        entrypoint=("/manager",),
        user=_NOBODY,
    )
    upstream.with_image(manifests, image.names[0])
    upstream.each_container(upstream.with_fast_readiness(manifests), lambda container: container.pop("resources", None))
    own = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    definitions = [each for each in manifests if each["kind"] == "CustomResourceDefinition"]
    rest = [each for each in manifests if each["kind"] not in ("CustomResourceDefinition", "Namespace")]
    return AddonContent([image], [[own, *definitions], rest], [(namespace, f"deployment/{deployment}")], finish)
