package main

import (
	"crypto/sha256"
	"fmt"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

const (
	racksPerZone = 10
	nodesPerRack = 20
	accelerator  = "plimsoll.dev/accelerator"
	image        = "registry.k8s.io/e2e-test-images/agnhost:2.59"
)

// world is which objects there are: namespaces, then nodes, then pods, by one index. The same index always gives the
// same object but for its time of creation.
type world struct {
	nodes, pods, namespaces int
	born                    time.Time
}

func (w world) count() int { return w.namespaces + w.nodes + w.pods }

// object gives the key in etcd under which the API server keeps an object, and the object.
func (w world) object(index int) (string, runtime.Object) {
	if index < w.namespaces {
		return w.namespace(index)
	}
	if index -= w.namespaces; index < w.nodes {
		return w.node(index)
	}
	return w.pod(index - w.nodes)
}

func (w world) namespace(index int) (string, runtime.Object) {
	name := namespaceName(index)
	labels := map[string]string{"kubernetes.io/metadata.name": name}
	return "/registry/namespaces/" + name, &core.Namespace{
		ObjectMeta: w.metadata(name, "", labels),
		Spec:       core.NamespaceSpec{Finalizers: []core.FinalizerName{core.FinalizerKubernetes}},
		Status:     core.NamespaceStatus{Phase: core.NamespaceActive},
	}
}

func (w world) node(index int) (string, runtime.Object) {
	name := nodeName(index)
	rack := index / nodesPerRack
	group := "plain"
	capacity := core.ResourceList{
		core.ResourceCPU:    resource.MustParse("32"),
		core.ResourceMemory: resource.MustParse("128Gi"),
		core.ResourcePods:   resource.MustParse("110"),
	}
	if index%2 == 1 {
		group = "accelerated"
		capacity[accelerator] = resource.MustParse("8")
	}
	labels := map[string]string{
		"kubernetes.io/hostname":           name,
		"kubernetes.io/os":                 "linux",
		"kubernetes.io/arch":               "amd64",
		"node.kubernetes.io/instance-type": "scale.32cpu",
		"topology.kubernetes.io/region":    "scale",
		"topology.kubernetes.io/zone":      fmt.Sprintf("zone-%d", rack/racksPerZone),
		"plimsoll.dev/rack":                fmt.Sprintf("rack-%d", rack),
		"plimsoll.dev/group":               group,
	}
	ready := core.NodeCondition{
		Type: core.NodeReady, Status: core.ConditionTrue, Reason: "KubeletReady",
		LastHeartbeatTime: meta.NewTime(w.born), LastTransitionTime: meta.NewTime(w.born),
	}
	return "/registry/minions/" + name, &core.Node{
		ObjectMeta: w.metadata(name, "", labels),
		Spec:       core.NodeSpec{ProviderID: "scale://" + name},
		Status: core.NodeStatus{
			Capacity: capacity, Allocatable: capacity, Conditions: []core.NodeCondition{ready},
			Addresses: []core.NodeAddress{{Type: core.NodeHostName, Address: name}},
			NodeInfo:  core.NodeSystemInfo{KubeletVersion: "v1.37.2", OperatingSystem: "linux", Architecture: "amd64"},
		},
	}
}

func (w world) pod(index int) (string, runtime.Object) {
	namespace := namespaceName(index % w.namespaces)
	name := fmt.Sprintf("pod-%06d", index)
	address := fmt.Sprintf("10.%d.%d.%d", index>>16&255, index>>8&255, index&255)
	state := core.ContainerState{Running: &core.ContainerStateRunning{StartedAt: meta.NewTime(w.born)}}
	ready := true
	condition := core.PodCondition{Type: core.PodReady, Status: core.ConditionTrue, LastTransitionTime: meta.NewTime(w.born)}
	labels := map[string]string{"app": fmt.Sprintf("app-%d", index%100)}
	started := meta.NewTime(w.born)
	grace := int64(30)
	var node string
	if w.nodes > 0 {
		node = nodeName(index % w.nodes)
	}
	container := core.Container{
		Name: "main", Image: image, ImagePullPolicy: core.PullIfNotPresent,
		TerminationMessagePath: "/dev/termination-log", TerminationMessagePolicy: core.TerminationMessageReadFile,
		Resources: core.ResourceRequirements{Requests: core.ResourceList{
			core.ResourceCPU: resource.MustParse("500m"), core.ResourceMemory: resource.MustParse("1Gi"),
		}},
	}
	return "/registry/pods/" + namespace + "/" + name, &core.Pod{
		ObjectMeta: w.metadata(name, namespace, labels),
		Spec: core.PodSpec{
			NodeName: node, Containers: []core.Container{container}, RestartPolicy: core.RestartPolicyAlways,
			DNSPolicy: core.DNSClusterFirst, SchedulerName: core.DefaultSchedulerName,
			SecurityContext: &core.PodSecurityContext{}, TerminationGracePeriodSeconds: &grace,
			ServiceAccountName: "default",
		},
		Status: core.PodStatus{
			Phase: core.PodRunning, PodIP: address, PodIPs: []core.PodIP{{IP: address}}, StartTime: &started,
			Conditions: []core.PodCondition{condition}, QOSClass: core.PodQOSBurstable,
			ContainerStatuses: []core.ContainerStatus{{
				Name: "main", Image: image, Ready: true, Started: &ready, State: state, ContainerID: "scale://" + name,
			}},
		},
	}
}

func (w world) metadata(name, namespace string, labels map[string]string) meta.ObjectMeta {
	digest := sha256.Sum256([]byte(namespace + "/" + name))
	return meta.ObjectMeta{
		Name: name, Namespace: namespace, Labels: labels, CreationTimestamp: meta.NewTime(w.born),
		UID: types.UID(fmt.Sprintf("%x-%x-%x-%x-%x", digest[:4], digest[4:6], digest[6:8], digest[8:10], digest[10:16])),
	}
}

func namespaceName(index int) string { return fmt.Sprintf("scale-%d", index) }
func nodeName(index int) string      { return fmt.Sprintf("scale-node-%05d", index) }
