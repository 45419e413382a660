"""KServe as an operator: a server of one container, in the mode that the cluster is configured for."""

from __future__ import annotations

from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.cluster import KSERVE
from plimsoll.kubernetes.objects import has_condition

_PORT = 8080
_SERVER = f"exec /agnhost netexec --http-port={_PORT}"


class KServe:
    """The controller of InferenceServices."""

    name, api_version, kind = "KServe", KSERVE, "InferenceService"
    resource = "inferenceservices.serving.kserve.io"
    # The class `external` makes KServe create no autoscaler.
    controller, part = "kserve", "external"

    def prepare(self, ns: ProbeNamespace) -> None:
        """It needs nothing."""

    def pods(self, name: str) -> str:
        """By KServe's own label."""
        return f"serving.kserve.io/inferenceservice={name}"

    def object(self, ns: ProbeNamespace, name: str, part: str, script: str = "true") -> Manifest:
        """A server that runs the script and then answers; a bad object names an unknown class of autoscalers."""
        probe = {"httpGet": {"path": "/", "port": _PORT}, "periodSeconds": 1}
        container = ns.container(f"{script}; {_SERVER}", ports=[{"containerPort": _PORT}], readinessProbe=probe)
        predictor = {
            "minReplicas": 1,
            "maxReplicas": 1,
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": False,
            "containers": [{**container, "name": "kserve-container"}],
        }
        return {
            "apiVersion": KSERVE,
            "kind": "InferenceService",
            "metadata": {"name": name, "annotations": {"serving.kserve.io/autoscalerClass": part}},
            "spec": {"predictor": predictor},
        }

    def worked(self, pod: Manifest) -> bool:
        """When the server answers."""
        return has_condition(pod, "Ready")

    def done(self, found: Manifest) -> bool:
        """By the condition Ready."""
        return has_condition(found, "Ready")
