"""The same servers as KServe's InferenceService, in its Standard mode: a Deployment that KServe keeps."""

from __future__ import annotations

from plimsoll.kinds.service_settings import Scale
from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.cluster import KSERVE

_PREDICTOR = "-predictor"
_MODE = "serving.kserve.io/deploymentMode"
_AUTOSCALER = "serving.kserve.io/autoscalerClass"
_VISIBILITY = {"networking.kserve.io/visibility": "cluster-local"}
"""KServe makes no route of its own then, which would have the name of ours."""
_CONTAINER = "kserve-container"


def deployment_of(inference_service: str) -> str:
    """The name of the Deployment that KServe makes."""
    return f"{inference_service}{_PREDICTOR}"


def inference_service(deployment: Manifest, scale: Scale) -> Manifest:
    """The pods of a Deployment, kept by KServe. Source: serving.kserve.io/v1beta1.

    Its number follows our own autoscaler where there is one. KServe gives pods what its object is annotated with, so
    that here every new key replaces them.
    """
    template = deployment["spec"]["template"]
    server, *beside = template["spec"]["containers"]
    grows = scale.max > scale.min
    modes = {_MODE: "Standard", _AUTOSCALER: "external" if grows else "none"}
    metadata = deployment["metadata"]
    return {
        "apiVersion": KSERVE,
        "kind": "InferenceService",
        "metadata": {
            **metadata,
            "labels": {**metadata["labels"], **_VISIBILITY},
            "annotations": {**metadata["annotations"], **modes},
        },
        "spec": {
            "predictor": {
                "labels": template["metadata"]["labels"],
                "annotations": template["metadata"]["annotations"],
                "minReplicas": max(1, scale.min),
                "maxReplicas": max(1, scale.max),
                "deploymentStrategy": deployment["spec"]["strategy"],
                **template["spec"],
                "containers": [{**server, "name": _CONTAINER}, *beside],
            }
        },
    }
