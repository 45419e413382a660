"""For each probe that acts a cluster in memory that carries its capability."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.capabilities.clusters.claims import accelerators
from tests.capabilities.clusters.exporters import exporters
from tests.capabilities.clusters.gangs import queues
from tests.capabilities.clusters.monitors import custom_metrics, prometheus
from tests.capabilities.clusters.operators import jobset
from tests.capabilities.clusters.pickers import pools
from tests.capabilities.clusters.pools import pool
from tests.capabilities.clusters.sandboxes import Runtime, sandboxes
from tests.capabilities.clusters.scene import Scene
from tests.capabilities.clusters.tenants import tenants
from tests.capabilities.clusters.traffic import gateways

HONEST: Mapping[str, Callable[[Scene], object]] = {
    "accelerator_metrics": exporters,
    "advanced_inference_ingress": pools,
    "ai_inference": gateways,
    "ai_service_metrics": prometheus,
    "cluster_autoscaling": pool,
    "dra_support": accelerators,
    "driver_runtime_management": accelerators,
    "gang_scheduling": queues,
    "gpu_sharing": accelerators,
    "pod_autoscaling": custom_metrics,
    "robust_controller": jobset,
    "secure_accelerator_access": accelerators,
    "tenant_isolation": tenants,
    "virtualized_accelerator": accelerators,
    "workload_sandboxing": lambda scene: sandboxes(scene, Runtime()),
}
