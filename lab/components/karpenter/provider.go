package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/awslabs/operatorpkg/status"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	v1 "sigs.k8s.io/karpenter/pkg/apis/v1"
	"sigs.k8s.io/karpenter/pkg/cloudprovider"
	"sigs.k8s.io/karpenter/pkg/scheduling"
)

// prefix of a node's provider ID, as its kubelet was told it.
const prefix = "lab://"

// machine is a node as the lab's service describes it.
type machine struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels"`
}

// provider asks the lab's service, over a socket on this machine, to start and stop nodes.
type provider struct {
	client *http.Client
}

func newProvider(socket string) *provider {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	return &provider{client: &http.Client{Transport: &http.Transport{DialContext: dial}, Timeout: time.Minute}}
}

func (p *provider) Create(ctx context.Context, claim *v1.NodeClaim) (*v1.NodeClaim, error) {
	labels := map[string]string{}
	for key, value := range claim.Labels {
		labels[key] = value
	}
	for _, requirement := range claim.Spec.Requirements {
		if requirement.Operator == core.NodeSelectorOpIn && len(requirement.Values) == 1 {
			labels[requirement.Key] = requirement.Values[0]
		}
	}
	taints := []string{v1.UnregisteredTaintKey + ":NoExecute"}
	for _, taint := range append(append([]core.Taint{}, claim.Spec.Taints...), claim.Spec.StartupTaints...) {
		taints = append(taints, fmt.Sprintf("%s=%s:%s", taint.Key, taint.Value, taint.Effect))
	}
	var created machine
	if err := p.call(ctx, http.MethodPost, "/nodes", map[string]any{"labels": labels, "taints": taints}, &created); err != nil {
		return nil, cloudprovider.NewCreateError(err, "NodeNotStarted", err.Error())
	}
	return described(created), nil
}

func (p *provider) Delete(ctx context.Context, claim *v1.NodeClaim) error {
	name := strings.TrimPrefix(claim.Status.ProviderID, prefix)
	return p.call(ctx, http.MethodDelete, "/nodes/"+name, nil, nil)
}

func (p *provider) Get(ctx context.Context, id string) (*v1.NodeClaim, error) {
	var found machine
	if err := p.call(ctx, http.MethodGet, "/nodes/"+strings.TrimPrefix(id, prefix), nil, &found); err != nil {
		return nil, err
	}
	return described(found), nil
}

func (p *provider) List(ctx context.Context) ([]*v1.NodeClaim, error) {
	var found []machine
	if err := p.call(ctx, http.MethodGet, "/nodes", nil, &found); err != nil {
		return nil, err
	}
	var claims []*v1.NodeClaim
	for _, each := range found {
		claims = append(claims, described(each))
	}
	return claims, nil
}

// call asks the service. A node that it does not know is Karpenter's "not found", which is what ends a deletion.
func (p *provider) call(ctx context.Context, method, path string, question, answer any) error {
	text, err := json.Marshal(question)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://lab"+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	response, err := p.client.Do(request)
	if err != nil {
		return fmt.Errorf("the lab's service for nodes does not answer: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	switch {
	case response.StatusCode == http.StatusNotFound:
		return cloudprovider.NewNodeClaimNotFoundError(fmt.Errorf("%s %s: there is no such node", method, path))
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("%s %s: %s: %s", method, path, response.Status, body)
	case answer != nil:
		return json.Unmarshal(body, answer)
	}
	return nil
}

func described(found machine) *v1.NodeClaim {
	capacity := instanceType().Capacity
	return &v1.NodeClaim{
		ObjectMeta: meta.ObjectMeta{Name: found.Name, Labels: found.Labels},
		Status: v1.NodeClaimStatus{
			NodeName: found.Name, ProviderID: prefix + found.Name, Capacity: capacity, Allocatable: capacity,
		},
	}
}

// instanceType is the one kind of machine that there is. What it holds has to be what its kubelet will report.
func instanceType() *cloudprovider.InstanceType {
	in := core.NodeSelectorOpIn
	zone := scheduling.NewRequirement(core.LabelTopologyZone, in, "zone-a")
	capacityType := scheduling.NewRequirement(v1.CapacityTypeLabelKey, in, v1.CapacityTypeOnDemand)
	return &cloudprovider.InstanceType{
		Name: "lab.accelerated",
		Requirements: scheduling.NewRequirements(
			scheduling.NewRequirement(core.LabelInstanceTypeStable, in, "lab.accelerated"),
			scheduling.NewRequirement(core.LabelArchStable, in, v1.ArchitectureAmd64),
			scheduling.NewRequirement(core.LabelOSStable, in, string(core.Linux)),
			zone, capacityType,
		),
		Offerings: cloudprovider.Offerings{{
			Requirements: scheduling.NewRequirements(zone, capacityType), Price: 1, Available: true,
		}},
		Capacity: core.ResourceList{
			core.ResourceCPU:                  resource.MustParse("2"),
			core.ResourceMemory:               resource.MustParse("4Gi"),
			core.ResourceEphemeralStorage:     resource.MustParse("20Gi"),
			core.ResourcePods:                 resource.MustParse("110"),
			"plimsoll.dev/accelerator":        resource.MustParse("2"),
			"plimsoll.dev/accelerator-shared": resource.MustParse("2"),
		},
		Overhead: &cloudprovider.InstanceTypeOverhead{},
	}
}

func (p *provider) GetInstanceTypes(context.Context, *v1.NodePool) ([]*cloudprovider.InstanceType, error) {
	return []*cloudprovider.InstanceType{instanceType()}, nil
}

func (p *provider) IsDrifted(context.Context, *v1.NodeClaim) (cloudprovider.DriftReason, error) {
	return "", nil
}

func (p *provider) RepairPolicies() []cloudprovider.RepairPolicy { return nil }

func (p *provider) Name() string { return "lab" }

func (p *provider) GetSupportedNodeClasses() []status.Object { return []status.Object{&LabNodeClass{}} }
