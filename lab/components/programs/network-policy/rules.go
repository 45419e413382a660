package main

import (
	"fmt"
	"sort"
	"strings"

	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const table = "inet plimsoll-lab-network-policy"

type world struct {
	pods       []*core.Pod
	namespaces map[string]labels.Set
	policies   []*networking.NetworkPolicy
}

func look(pods lister[*core.Pod], namespaces lister[*core.Namespace], policies lister[*networking.NetworkPolicy]) (world, error) {
	found := world{namespaces: map[string]labels.Set{}}
	all, err := pods(labels.Everything())
	if err != nil {
		return found, err
	}
	for _, pod := range all {
		running := pod.Status.Phase != core.PodSucceeded && pod.Status.Phase != core.PodFailed
		if pod.Status.PodIP != "" && !pod.Spec.HostNetwork && running {
			found.pods = append(found.pods, pod)
		}
	}
	names, err := namespaces(labels.Everything())
	if err != nil {
		return found, err
	}
	for _, namespace := range names {
		found.namespaces[namespace.Name] = namespace.Labels
	}
	found.policies, err = policies(labels.Everything())
	// In one order, so that the same world gives the same text and nothing is applied twice.
	sort.Slice(found.pods, func(i, j int) bool { return found.pods[i].Status.PodIP < found.pods[j].Status.PodIP })
	sort.Slice(found.policies, func(i, j int) bool { return found.policies[i].UID < found.policies[j].UID })
	return found, err
}

// rules gives the whole table for the pods of a node, as one nftables transaction.
func (w world) rules(node string) string {
	var jumps, chains []string
	for _, pod := range w.pods {
		if pod.Spec.NodeName != node {
			continue
		}
		for _, direction := range []networking.PolicyType{networking.PolicyTypeEgress, networking.PolicyTypeIngress} {
			selecting := w.selecting(pod, direction)
			if len(selecting) == 0 {
				continue
			}
			name := strings.ToLower(string(direction)) + "-" + strings.ReplaceAll(pod.Status.PodIP, ".", "-")
			side := map[networking.PolicyType]string{"Egress": "saddr", "Ingress": "daddr"}[direction]
			jumps = append(jumps, fmt.Sprintf("ip %s %s jump %s", side, pod.Status.PodIP, name))
			lines := []string{}
			for _, policy := range selecting {
				lines = append(lines, w.allowed(policy, pod, direction)...)
			}
			comment := fmt.Sprintf("%s/%s", pod.Namespace, pod.Name)
			if len(comment) > 120 {
				comment = comment[:120]
			}
			lines = append(lines, fmt.Sprintf("counter drop comment %q", comment))
			chains = append(chains, fmt.Sprintf("\tchain %s {\n\t\t%s\n\t}\n", name, strings.Join(lines, "\n\t\t")))
		}
	}
	forward := append([]string{"type filter hook forward priority filter; policy accept;", "ct state established,related accept"}, jumps...)
	return fmt.Sprintf("table %s\ndelete table %s\ntable %s {\n%s\tchain forward {\n\t\t%s\n\t}\n}\n",
		table, table, table, strings.Join(chains, ""), strings.Join(forward, "\n\t\t"))
}

func (w world) selecting(pod *core.Pod, direction networking.PolicyType) []*networking.NetworkPolicy {
	var found []*networking.NetworkPolicy
	for _, policy := range w.policies {
		if policy.Namespace != pod.Namespace || !matches(&policy.Spec.PodSelector, pod.Labels) {
			continue
		}
		for _, each := range policy.Spec.PolicyTypes {
			if each == direction {
				found = append(found, policy)
			}
		}
	}
	return found
}

// allowed gives one rule per thing that a policy lets in (or out) of a pod; "return" goes on to the other direction.
func (w world) allowed(policy *networking.NetworkPolicy, pod *core.Pod, direction networking.PolicyType) []string {
	var lines []string
	if direction == networking.PolicyTypeIngress {
		for _, rule := range policy.Spec.Ingress {
			for _, peer := range w.peers(policy.Namespace, rule.From, "saddr") {
				lines = append(lines, peer.with(rule.Ports, func(*core.Pod) *core.Pod { return pod })...)
			}
		}
		return lines
	}
	for _, rule := range policy.Spec.Egress {
		for _, peer := range w.peers(policy.Namespace, rule.To, "daddr") {
			lines = append(lines, peer.with(rule.Ports, func(target *core.Pod) *core.Pod { return target })...)
		}
	}
	return lines
}

// peer is one way of matching the other side: text of nftables, and the pod that it is, if it is one.
type peer struct {
	match string
	pod   *core.Pod
}

func (w world) peers(namespace string, wanted []networking.NetworkPolicyPeer, side string) []peer {
	if len(wanted) == 0 {
		return []peer{{match: ""}}
	}
	var found []peer
	for _, each := range wanted {
		if each.IPBlock != nil {
			match := fmt.Sprintf("ip %s %s ", side, each.IPBlock.CIDR)
			if len(each.IPBlock.Except) > 0 {
				match += fmt.Sprintf("ip %s != { %s } ", side, strings.Join(each.IPBlock.Except, ", "))
			}
			found = append(found, peer{match: match})
			continue
		}
		for _, pod := range w.pods {
			inNamespace := pod.Namespace == namespace
			if each.NamespaceSelector != nil {
				inNamespace = matches(each.NamespaceSelector, w.namespaces[pod.Namespace])
			}
			if inNamespace && (each.PodSelector == nil || matches(each.PodSelector, pod.Labels)) {
				found = append(found, peer{match: fmt.Sprintf("ip %s %s ", side, pod.Status.PodIP), pod: pod})
			}
		}
	}
	return found
}

// with gives the rules for a peer and ports; owner says which pod's names a named port is looked up in.
func (p peer) with(ports []networking.NetworkPolicyPort, owner func(*core.Pod) *core.Pod) []string {
	if len(ports) == 0 {
		return []string{p.match + "return"}
	}
	var lines []string
	for _, port := range ports {
		protocol := "tcp"
		if port.Protocol != nil {
			protocol = strings.ToLower(string(*port.Protocol))
		}
		if port.Port == nil {
			lines = append(lines, fmt.Sprintf("%smeta l4proto %s return", p.match, protocol))
			continue
		}
		first := int32(port.Port.IntValue())
		if port.Port.Type == intstr.String {
			first = named(owner(p.pod), port.Port.StrVal, protocol)
		}
		if first == 0 {
			continue
		}
		last := first
		if port.EndPort != nil {
			last = *port.EndPort
		}
		lines = append(lines, fmt.Sprintf("%s%s dport %d-%d return", p.match, protocol, first, last))
	}
	return lines
}

func named(pod *core.Pod, name, protocol string) int32 {
	if pod == nil {
		return 0
	}
	for _, container := range pod.Spec.Containers {
		for _, port := range container.Ports {
			if port.Name == name && strings.EqualFold(string(port.Protocol), protocol) {
				return port.ContainerPort
			}
		}
	}
	return 0
}

func matches(selector *meta.LabelSelector, found labels.Set) bool {
	compiled, err := meta.LabelSelectorAsSelector(selector)
	return err == nil && compiled.Matches(found)
}
