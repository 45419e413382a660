"""Digests of the official requirement descriptions of versions 1.33 to 1.37, by requirement id.

`version_requirements.description_digest` makes them. They reveal an altered description without the template, and no
sentence of the programme is shipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

DESCRIPTION_DIGESTS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "dra_support": frozenset({"9df4e4d4449d4714c2b9be3a"}),
        "ai_inference": frozenset({"0791ff4dffacd244d06c084f"}),
        "gang_scheduling": frozenset({"3da34d351765de38dc5077b2"}),
        "cluster_autoscaling": frozenset({"d29286658098a1dec172ca46"}),
        "pod_autoscaling": frozenset({"f193615df96604109adf304a"}),
        "accelerator_metrics": frozenset({"82121c77e2aebbfeabe8793b", "e5b3965dceffbc6dc70a14f4"}),
        "ai_service_metrics": frozenset({"9f2e720e979ecdff89a840ae"}),
        "secure_accelerator_access": frozenset({"92aa600215a938dd5b05cbe2"}),
        "robust_controller": frozenset({"476e946af6c0680411243700"}),
        "driver_runtime_management": frozenset({"939428970e98ace78a2f31ed"}),
        "gpu_sharing": frozenset({"0d2c74754d91508c8a90bdc1"}),
        "virtualized_accelerator": frozenset({"311b76ad95feb98d1060d50f"}),
        "advanced_inference_ingress": frozenset({"49fa6ed13e6619ef013e1268"}),
        "high_performance_networking": frozenset({"925c4f02cb93489ed21b4137"}),
        "disaggregated_inference": frozenset({"a59cbdb149658ab4873b6590"}),
        "workload_sandboxing": frozenset({"821b4ebfab66dfa39d1aa37f"}),
    }
)
