"""Notes that contradict their own claim are reported; notes about a case, a limit or an alternative are not."""

from __future__ import annotations

import pytest

from plimsoll.submission.note_analysis import contradicting_sentence, sentence_denying_condition, split_sentences

CONTRADICTING = [
    ("gang_scheduling", "Not applicable."),
    ("gang_scheduling", "N/A"),
    ("robust_controller", "N/A - our customers bring their own operators."),
    ("gang_scheduling", "This requirement is not applicable to our platform."),
    ("gang_scheduling", "This feature is currently not supported."),
    ("gang_scheduling", "Not yet implemented."),
    ("gang_scheduling", "Gang scheduling is not yet supported on our platform; it is planned for release 2.5."),
    ("gang_scheduling", "Planned for Q3 2026."),
    ("gang_scheduling", "Support is planned."),
    ("gang_scheduling", "Implementation in progress."),
    ("gang_scheduling", "Work in progress, expected in the next release."),
    ("ai_inference", "The platform does not support the Gateway API at this time."),
    ("ai_inference", "Our platform does not provide a Gateway API implementation."),
    ("ai_inference", "The Gateway API is disabled by default."),
    ("ai_inference", "Gateway API support is on our roadmap for 2027."),
    ("ai_inference", "Envoy Gateway is installed and was tested. This capability is not implemented yet."),
    ("accelerator_metrics", "GPU metrics are not available yet."),
    ("accelerator_metrics", "We do not expose accelerator metrics."),
    ("accelerator_metrics", "GPU monitoring is disabled by default on this platform."),
    ("accelerator_metrics", "GPU metrics will be available in a future release."),
    ("ai_service_metrics", "Disabled by default."),
    ("ai_service_metrics", "Coming soon"),
    ("ai_service_metrics", "Under development."),
    ("secure_accelerator_access", "Isolation between workloads has not been tested."),
    ("secure_accelerator_access", "This is only partially implemented."),
    ("dra_support", "Dynamic Resource Allocation is not supported in this release."),
    ("dra_support", "DRA is turned off by default."),
    ("robust_controller", "Acme Cloud does not support Kubeflow or KubeRay."),
    ("robust_controller", "To be implemented."),
    ("pod_autoscaling", "HPA on custom metrics is not supported by our platform."),
    ("workload_sandboxing", "We don't offer gVisor or Kata; this is under development."),
    ("gpu_sharing", "GPU sharing isn't supported."),
    ("gang_scheduling", "Gang scheduling is not yet available."),
    ("pod_autoscaling", "KEDA and the HPA were tried. Pod autoscaling is planned for the next release."),
    ("gang_scheduling", "Kueue and Volcano are supported. The platform does not provide gang scheduling."),
    ("gang_scheduling", "This requirement is out of scope for our product."),
    ("gang_scheduling", "Testing pending."),
    ("gang_scheduling", "We have not yet tested gang scheduling."),
    ("gang_scheduling", "Currently unsupported"),
    ("robust_controller", "KubeRay support in our platform is planned for 2027."),
    ("ai_inference", "Traffic splitting works on paper. The Gateway API is currently not supported."),
    ("accelerator_metrics", "Evidence to be provided."),
]
CONSISTENT = [
    ("secure_accelerator_access", "Pods without a GPU request do not see any /dev/nvidia* device; access is denied."),
    ("secure_accelerator_access", "Containers that do not request a GPU cannot access one. Verified with two pods on a node."),
    ("secure_accelerator_access", "Privileged pods are not allowed. Host device access is disabled by default by PodSecurity."),
    ("secure_accelerator_access", "Access to GPUs is mediated by the device plugin; a container that has no claim gets nothing."),
    ("secure_accelerator_access", "Unauthorized access is not possible: the runtime only injects allocated devices."),
    ("gang_scheduling", "Kueue is not installed by default, but can be installed as an add-on; we tested it with 2 jobs."),
    ("gang_scheduling", "The platform does not ship a gang scheduler. Kueue v0.14 was installed with Helm and verified."),
    ("gang_scheduling", "If resources are not available, the whole gang stays pending. All pods start together or none does."),
    ("gang_scheduling", "With insufficient capacity no pod of the job was scheduled. See the test log."),
    ("gang_scheduling", "Volcano and Kueue are supported. YuniKorn is not tested."),
    ("gang_scheduling", "Both run unmodified. Native gang scheduling (KEP-4671) is planned upstream for v1.36; Kueue is used today."),
    ("ai_inference", "Gateway API CRDs are not bundled; users install Envoy Gateway, which we validated with weighted routes."),
    ("ai_inference", "Supports weighted splitting and header routing. Service mesh integration is optional and not enabled by default."),
    ("ai_inference", "Traefik implements the Gateway API. TCPRoute is not supported."),
    ("accelerator_metrics", "DCGM exporter exposes utilization and memory. NVLink counters are not available on T4."),
    ("accelerator_metrics", "Metrics for AMD GPUs are planned for the next release; NVIDIA GPUs are covered by the DCGM exporter."),
    ("accelerator_metrics", "The DCGM exporter is disabled by default and enabled with one flag of the GPU operator."),
    ("ai_service_metrics", "Prometheus discovers ServiceMonitors. Metrics will be available on the dashboard after a minute."),
    ("ai_service_metrics", "A managed Prometheus is offered. Self-managed Prometheus is supported but not required."),
    ("cluster_autoscaling", "Karpenter adds GPU nodes. Nodes that are not used are removed after 10 minutes."),
    ("cluster_autoscaling", "Scale to zero is supported; GPU node pools are not created by default."),
    ("pod_autoscaling", "HPA scales vLLM pods by queue depth via prometheus-adapter. The adapter is not part of the platform."),
    ("dra_support", "DRA is GA in v1.34. Alpha features such as partitionable devices are disabled by default."),
    ("dra_support", "DRA is disabled by default in v1.33. We enable the feature gate and the v1beta1 APIs on all clusters."),
    ("robust_controller", "KubeRay installed; an invalid RayCluster is rejected by its webhook and not created."),
    ("robust_controller", "The operator's pods were not restarted during the test. The RayJob completed."),
    ("gpu_sharing", "Time slicing and MPS work on every GPU; MIG is not applicable to L4 GPUs."),
    ("gpu_sharing", "MIG is supported on A100 and H100. Dynamic partitioning by DRA is planned for a future release."),
    ("virtualized_accelerator", "vGPU profiles are exposed as resources. vGPU is not supported on GPUs older than Volta."),
    ("driver_runtime_management", "The GPU Operator installs drivers. DRA attributes will be used once the driver publishes versions."),
    ("workload_sandboxing", "Kata containers run agents in micro-VMs. Network egress is disabled by default in the sandbox."),
    ("high_performance_networking", "RDMA by the network operator. The secondary network is not used by the API server."),
    ("gang_scheduling", "Validated. No known limitations; upgrades in progress do not affect running gangs."),
    ("gang_scheduling", ""),
    ("ai_inference", "Envoy implements the Gateway API. Note that HTTPRoute timeouts are not supported."),
    ("accelerator_metrics", "Our platform does not ship an accelerator metrics solution, customers install the DCGM exporter."),
    ("gang_scheduling", "Users install Kueue, since the platform does not bundle a gang scheduler."),
    ("robust_controller", "The platform does not support KubeRay. Kubeflow Trainer was validated."),
    ("gang_scheduling", "Partial placement is not supported by Kueue."),
    ("driver_runtime_management", "Unsupported drivers are flagged by the operator."),
    ("secure_accelerator_access", "Device nodes are not present in containers that did not ask for them."),
    ("secure_accelerator_access", "GPU devices are not available to other pods."),
    ("cluster_autoscaling", "Nodes that are not available are replaced."),
    ("cluster_autoscaling", "Currently validated on v1.34; support for v1.35 is planned."),
    ("gpu_sharing", "MIG-backed GPU sharing is not supported on L4. Time slicing is, on all of them."),
    ("ai_inference", "NA region clusters have Traefik."),
    ("gang_scheduling", "Pods stay pending until all can be placed. Pending pods of a gang are not bound."),
    ("dra_support", "DRA is supported for NVIDIA GPUs. Drivers for AMD are not yet generally available."),
    ("robust_controller", "The webhook rejects bad objects. Ray autoscaling has not been tested."),
]  # fmt: skip


@pytest.mark.parametrize(("requirement", "note"), CONTRADICTING)
def test_a_note_that_contradicts_its_own_claim_is_reported(requirement: str, note: str) -> None:
    assert contradicting_sentence(requirement, note, ("acme cloud",))


@pytest.mark.parametrize(("requirement", "note"), CONSISTENT)
def test_a_note_about_a_case_or_an_alternative_is_not_reported(requirement: str, note: str) -> None:
    assert contradicting_sentence(requirement, note, ("acme cloud",)) == ""
    assert sentence_denying_condition(requirement, note) == ""


@pytest.mark.parametrize(
    ("requirement", "note"),
    [
        ("cluster_autoscaling", "The platform does not provide a cluster autoscaler."),
        ("cluster_autoscaling", "Our distribution does not include an autoscaler, so this requirement does not apply."),
        ("cluster_autoscaling", "There is no cluster autoscaler on bare metal. Nodes are installed by hand."),
        ("cluster_autoscaling", "Not applicable: on-premises clusters have a fixed number of nodes."),
        ("cluster_autoscaling", "The condition is not met."),
        ("pod_autoscaling", "HPA: the platform does not support the HorizontalPodAutoscaler."),
        ("high_performance_networking", "We do not provide RDMA."),
    ],
)
def test_a_note_that_denies_the_condition_is_reported(requirement: str, note: str) -> None:
    assert sentence_denying_condition(requirement, note)


@pytest.mark.parametrize(
    ("requirement", "note"),
    [
        (
            "cluster_autoscaling",
            "The platform does not provide its own autoscaler, but Karpenter is installed and was tested.",
        ),
        (
            "cluster_autoscaling",
            "We do not ship a cluster autoscaler. Customers use Karpenter, which we validated with GPU pools.",
        ),
        ("cluster_autoscaling", "If the pool does not have room, the autoscaler adds a node."),
        ("cluster_autoscaling", "Scales without manual intervention: the autoscaler adds A100 nodes."),
        ("cluster_autoscaling", "Scales without changes to the cluster autoscaler's settings."),
        ("cluster_autoscaling", "No cluster autoscaler configuration is needed: pools scale by themselves."),
        ("cluster_autoscaling", "Spot pools are not applicable for reserved GPUs. GPU pools scale from 0 to N."),
        ("cluster_autoscaling", "We do not use the Cluster Autoscaler. Nodes are provisioned by Karpenter."),
        ("pod_autoscaling", "VPA is not applicable to GPU pods. The HPA works with custom metrics."),
        ("pod_autoscaling", "HPA works with custom metrics; no changes to the HPA controller were needed."),
        ("gang_scheduling", "The platform does not provide a cluster autoscaler."),
    ],
)
def test_a_condition_that_an_alternative_meets_is_not_reported(requirement: str, note: str) -> None:
    assert sentence_denying_condition(requirement, note) == ""


def test_a_note_is_split_at_sentences_and_list_items() -> None:
    note = "We use e.g. Kueue. It\nworks.\n- one\n- two"
    assert split_sentences(note) == ["we use eg kueue.", "it works.", "one", "two"]


TAKEN_BACK = [
    ("gang_scheduling", "A gang scheduler is needed for this; Acme Cloud does not ship one."),
    ("gang_scheduling", "Acme Cloud does not ship one."),
    ("gang_scheduling", "The distribution never included one."),
    ("gang_scheduling", "Acme ships without a gang scheduler."),
    ("gang_scheduling", "There is no such component in the product."),
    ("gang_scheduling", "Gang scheduling is absent from the distribution."),
    ("gang_scheduling", "The requirement is met because the condition does not apply."),
    ("pod_autoscaling", "This is met because the condition does not apply."),
    ("cluster_autoscaling", "Satisfied, since the premise does not hold on bare metal."),
    ("cluster_autoscaling", "Considered implemented as no autoscaler exists."),
    ("cluster_autoscaling", "Trivially satisfied."),
    ("gang_scheduling", "Vacuously met."),
    ("gang_scheduling", "Left to the operator of the cluster."),
    ("gang_scheduling", "The choice of a gang scheduler is left to the operator of the cluster."),
    ("gang_scheduling", "It is up to customers to add a gang scheduler."),
    ("gang_scheduling", "Customers must bring their own gang scheduler."),
    ("gang_scheduling", "Installing a gang scheduler is the responsibility of the cluster administrator."),
    ("accelerator_metrics", "Accelerator metrics have to be arranged by the tenant."),
    ("accelerator_metrics", "The platform lacks GPU metrics."),
    ("accelerator_metrics", "No accelerator metrics are exposed."),
    ("accelerator_metrics", "GPU metrics are missing from the product."),
    ("ai_inference", "The Gateway API isn't part of the product."),
    ("ai_inference", "Acme Cloud comes without the Gateway API."),
    ("ai_inference", "No Gateway API implementation is included."),
    ("ai_inference", "None is provided."),
    ("robust_controller", "No operator is bundled; users are expected to select one."),
    ("dra_support", "DRA is omitted from the build."),
    ("secure_accelerator_access", "Complies because the requirement is irrelevant here."),
    ("ai_service_metrics", "The criterion does not concern us and is therefore fulfilled."),
    ("workload_sandboxing", "Sandboxing is delegated to the tenant."),
    ("pod_autoscaling", "The product has no horizontal pod autoscaler, hence the requirement is fulfilled."),
    ("high_performance_networking", "Implemented: there is no RDMA on this platform so nothing is required."),
    ("gang_scheduling", "The capability is excluded from this edition."),
]  # fmt: skip
STANDING = [
    ("gang_scheduling", "Kueue is installed with Helm. The scheduler of the node pool does not matter."),
    ("gang_scheduling", "The choice of the gang scheduler is left to the user; Kueue 0.14 was validated."),
    ("gang_scheduling", "No gang scheduler is bundled. We installed Volcano and ran two jobs of eight pods."),
    ("gang_scheduling", "Administrators must create a ClusterQueue before the first job; Kueue admits whole jobs."),
    ("gang_scheduling", "Customers need to label their namespaces."),
    ("gang_scheduling", "The operator of the cluster configures queues. All pods of a job start together."),
    ("accelerator_metrics", "DCGM exporter, installed by the GPU operator, covers all devices; no agent is required."),
    ("accelerator_metrics", "Metrics are scraped by Prometheus, so users do not have to configure anything."),
    ("cluster_autoscaling", "The autoscaler adds nodes since no capacity is available, and removes them when they are not needed."),
    ("cluster_autoscaling", "Karpenter provisions GPU nodes. No manual action is required of the operator."),
    ("ai_inference", "Traefik implements the Gateway API; sidecars are not required."),
    ("ai_inference", "Envoy Gateway. The ingress controller is not needed and does not exist on new clusters."),
    ("pod_autoscaling", "The HPA reads DCGM_FI_DEV_GPU_UTIL by the prometheus adapter; nothing else is needed."),
    ("robust_controller", "KubeRay passes: invalid objects are rejected because a required field is missing."),
    ("robust_controller", "The object without a spec is rejected, so the requirement is met."),
    ("secure_accelerator_access", "Met: a pod without a claim has no device, since the runtime does not expose any."),
    ("secure_accelerator_access", "Satisfied because no GPU is available to the pod without a claim."),
    ("dra_support", "All v1 APIs of DRA are served. Users must create a DeviceClass."),
    ("dra_support", "resource.k8s.io/v1 is served by the API server, as it is enabled by default."),
    ("ai_service_metrics", "Prometheus discovers ServiceMonitors; customers must label their services."),
    ("ai_service_metrics", "Users add a ServiceMonitor, which is picked up. There is no limit on their number."),
    ("workload_sandboxing", "gVisor is offered as a RuntimeClass that tenants select."),
    ("gpu_sharing", "MIG and time slicing. T4 does not support it."),
    ("high_performance_networking", "RDMA by SR-IOV. Nodes without a second NIC do not have it."),
    ("driver_runtime_management", "The GPU Operator manages drivers; administrators should pin versions."),
    ("virtualized_accelerator", "vGPU with the licence of the customer, who is responsible for it."),
    ("gang_scheduling", "See the evidence."),
    ("gang_scheduling", "The 1000-pod job has no running pods: nothing is placed until all fit."),
    ("gang_scheduling", "All or nothing: no pod of the gang is bound as there is not enough room for one."),
    ("ai_inference", "Weighted routes met the expected split: 90 % and 10 %, no request was lost."),
    ("pod_autoscaling", "The HPA scaled from 1 to 2; the condition AbleToScale is true and ScalingLimited does not apply."),
    ("disaggregated_inference", "Prefill and decode run apart with llm-d; nothing is needed of users."),
    ("cluster_autoscaling", "Node pools scale from zero. The condition is given on all our clouds, so the requirement applies and is met."),
]  # fmt: skip


@pytest.mark.parametrize(("requirement", "note"), TAKEN_BACK)
def test_a_claim_that_its_note_takes_back_in_other_words_is_reported(requirement: str, note: str) -> None:
    names = ("acme cloud", "acme")
    assert contradicting_sentence(requirement, note, names) or sentence_denying_condition(requirement, note)


@pytest.mark.parametrize(("requirement", "note"), STANDING)
def test_a_claim_that_its_note_only_limits_or_explains_stands(requirement: str, note: str) -> None:
    assert contradicting_sentence(requirement, note, ("acme cloud", "acme")) == ""
    assert sentence_denying_condition(requirement, note) == ""
