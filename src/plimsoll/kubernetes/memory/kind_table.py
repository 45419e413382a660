"""Kinds as text: version, kind (with + when generations are counted), plural, Namespaced or Cluster, names, parts.

Source: `kubectl api-resources` of Kubernetes 1.34, and the definitions and webhooks of the add-ons.
"""

from __future__ import annotations

BUILT_IN = """
v1 Namespace namespaces C label status,finalize
v1 Node nodes C - status,proxy
v1 Pod+ pods N - status,log,exec,attach,portforward,proxy,eviction,binding,ephemeralcontainers
v1 Service services N label1035 status,proxy
v1 ConfigMap configmaps N - -
v1 Secret secrets N - -
v1 ServiceAccount serviceaccounts N - token
v1 Event events N - -
v1 Endpoints endpoints N - -
v1 PersistentVolumeClaim persistentvolumeclaims N - status
v1 PersistentVolume persistentvolumes C - status
v1 ResourceQuota resourcequotas N - status
v1 LimitRange limitranges N - -
apps/v1 Deployment+ deployments N - status,scale
apps/v1 ReplicaSet+ replicasets N - status,scale
apps/v1 StatefulSet+ statefulsets N - status,scale
apps/v1 DaemonSet+ daemonsets N - status
batch/v1 Job+ jobs N - status
batch/v1 CronJob+ cronjobs N - status
autoscaling/v2 HorizontalPodAutoscaler horizontalpodautoscalers N - status
autoscaling/v1 HorizontalPodAutoscaler horizontalpodautoscalers N - status
policy/v1 PodDisruptionBudget+ poddisruptionbudgets N - status
networking.k8s.io/v1 NetworkPolicy+ networkpolicies N - -
networking.k8s.io/v1 Ingress+ ingresses N - status
networking.k8s.io/v1 IngressClass+ ingressclasses C - -
discovery.k8s.io/v1 EndpointSlice+ endpointslices N - -
events.k8s.io/v1 Event events N - -
coordination.k8s.io/v1 Lease leases N - -
rbac.authorization.k8s.io/v1 Role roles N path -
rbac.authorization.k8s.io/v1 RoleBinding rolebindings N path -
rbac.authorization.k8s.io/v1 ClusterRole clusterroles C path -
rbac.authorization.k8s.io/v1 ClusterRoleBinding clusterrolebindings C path -
node.k8s.io/v1 RuntimeClass runtimeclasses C - -
storage.k8s.io/v1 StorageClass storageclasses C - -
scheduling.k8s.io/v1 PriorityClass+ priorityclasses C - -
resource.k8s.io/v1 DeviceClass+ deviceclasses C - -
resource.k8s.io/v1 ResourceClaim resourceclaims N - status
resource.k8s.io/v1 ResourceClaimTemplate resourceclaimtemplates N - -
resource.k8s.io/v1 ResourceSlice+ resourceslices C - -
admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration+ validatingwebhookconfigurations C - -
admissionregistration.k8s.io/v1 MutatingWebhookConfiguration+ mutatingwebhookconfigurations C - -
admissionregistration.k8s.io/v1 ValidatingAdmissionPolicy+ validatingadmissionpolicies C - status
admissionregistration.k8s.io/v1 ValidatingAdmissionPolicyBinding+ validatingadmissionpolicybindings C - -
apiextensions.k8s.io/v1 CustomResourceDefinition+ customresourcedefinitions C - status
apiregistration.k8s.io/v1 APIService apiservices C - status
certificates.k8s.io/v1 CertificateSigningRequest certificatesigningrequests C - status,approval
authentication.k8s.io/v1 SelfSubjectReview selfsubjectreviews C - -
authentication.k8s.io/v1 TokenReview tokenreviews C - -
authorization.k8s.io/v1 SelfSubjectAccessReview selfsubjectaccessreviews C - -
authorization.k8s.io/v1 SelfSubjectRulesReview selfsubjectrulesreviews C - -
authorization.k8s.io/v1 SubjectAccessReview subjectaccessreviews C - -
authorization.k8s.io/v1 LocalSubjectAccessReview localsubjectaccessreviews N - -
authentication.k8s.io/v1 TokenReview tokenreviews C - -
"""
ADDONS = {
    "jobset": "jobset.x-k8s.io/v1alpha2 JobSet jobsets N label1035 status",
    "kueue": """
        kueue.x-k8s.io/v1beta1 LocalQueue localqueues N - status
        kueue.x-k8s.io/v1beta1 ClusterQueue clusterqueues C - status
        kueue.x-k8s.io/v1beta1 ResourceFlavor resourceflavors C - -
        kueue.x-k8s.io/v1beta1 Workload workloads N - status
    """,
    "podgroup": "scheduling.k8s.io/v1beta1 PodGroup podgroups N - status",
    "trainer": """
        trainer.kubeflow.org/v1alpha1 TrainJob trainjobs N label1035 status
        trainer.kubeflow.org/v1alpha1 TrainingRuntime trainingruntimes N label1035 -
        trainer.kubeflow.org/v1alpha1 ClusterTrainingRuntime clustertrainingruntimes C - -
    """,
    "ray": """
        ray.io/v1 RayJob rayjobs N label1035 status
        ray.io/v1 RayCluster rayclusters N - status
    """,
    "gateway": """
        gateway.networking.k8s.io/v1 GatewayClass gatewayclasses C - status
        gateway.networking.k8s.io/v1 Gateway gateways N - status
        gateway.networking.k8s.io/v1 HTTPRoute httproutes N - status
    """,
    "envoy": "gateway.envoyproxy.io/v1alpha1 BackendTrafficPolicy backendtrafficpolicies N - status",
    "kserve": "serving.kserve.io/v1beta1 InferenceService inferenceservices N label1035 status",
    "kserve-llm": "serving.kserve.io/v1alpha2 LLMInferenceService llminferenceservices N label1035 status",
    "keda": "keda.sh/v1alpha1 ScaledObject scaledobjects N - status",
    "prometheus": """
        monitoring.coreos.com/v1 Prometheus prometheuses N - status
        monitoring.coreos.com/v1 ServiceMonitor servicemonitors N - -
        monitoring.coreos.com/v1 PodMonitor podmonitors N - -
        monitoring.coreos.com/v1 PrometheusRule prometheusrules N - -
    """,
    "karpenter": "karpenter.sh/v1 NodePool nodepools C - status",
    "inference": """
        inference.networking.k8s.io/v1 InferencePool inferencepools N - status
        inference.networking.x-k8s.io/v1alpha2 InferenceObjective inferenceobjectives N - status
    """,
}
