package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	resource "k8s.io/api/resource/v1"
	apiresource "k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/dynamic-resource-allocation/kubeletplugin"
	"k8s.io/dynamic-resource-allocation/resourceslice"
)

const cdiKind = "plimsoll.dev/accelerator"

// driver prepares claims. Its state is the CDI files themselves: a claim is prepared when its file is there, so a
// restart of the driver or the kubelet loses nothing.
type driver struct{}

func startDriver(ctx context.Context, client kubernetes.Interface, node string, devices []device) (func(), error) {
	data := filepath.Join(kubelet, "plugins", driverName)
	for _, folder := range []string{data, cdiFolder} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return nil, err
		}
	}
	helper, err := kubeletplugin.Start(ctx, driver{},
		kubeletplugin.KubeClient(client),
		kubeletplugin.NodeName(node),
		kubeletplugin.DriverName(driverName),
		kubeletplugin.RegistrarDirectoryPath(filepath.Join(kubelet, "plugins_registry")),
		kubeletplugin.PluginDataDirectoryPath(data),
		// Each instance has sockets of its own: one that ends late does not take its successor's away.
		kubeletplugin.RollingUpdate(types.UID(os.Getenv("POD_UID"))),
	)
	if err != nil {
		return nil, err
	}
	pool := resourceslice.DriverResources{Pools: map[string]resourceslice.Pool{node: {Slices: slices(devices)}}}
	return helper.Stop, helper.PublishResources(ctx, pool)
}

// slices describes the devices that are offered by claim. A whole device and its halves draw on one counter, so that
// whoever has the whole excludes the halves and the other way round (KEP-4815).
func slices(devices []device) []resourceslice.Slice {
	var described []resource.Device
	var counters []resource.CounterSet
	for _, each := range devices {
		switch each.Offer {
		case offerClaim:
			memory := *apiresource.NewQuantity(each.Memory, apiresource.BinarySI)
			counters = append(counters, resource.CounterSet{
				Name: each.Name, Counters: map[string]resource.Counter{"memory": {Value: memory}},
			})
			described = append(described, partition(each, each.Name, "1", each.Memory))
			for _, half := range each.Halves {
				name := strings.ReplaceAll(half, ".", "-")
				described = append(described, partition(each, name, "1/2", each.Memory/2))
			}
		case offerClaimShared:
			shared := describe(each, each.Name, "1", each.Memory)
			allow, one := true, apiresource.MustParse("1")
			shared.AllowMultipleAllocations = &allow
			shared.Capacity["shares"] = resource.DeviceCapacity{
				Value:         *apiresource.NewQuantity(shares, apiresource.DecimalSI),
				RequestPolicy: &resource.CapacityRequestPolicy{Default: &one, ValidValues: []apiresource.Quantity{one}},
			}
			// A capacity without a policy would go to the first claim whole.
			part := *apiresource.NewQuantity(each.Memory/shares, apiresource.BinarySI)
			shared.Capacity["memory"] = resource.DeviceCapacity{
				Value:         *apiresource.NewQuantity(each.Memory, apiresource.BinarySI),
				RequestPolicy: &resource.CapacityRequestPolicy{Default: &part, ValidValues: []apiresource.Quantity{part}},
			}
			described = append(described, shared)
		}
	}
	return []resourceslice.Slice{{Devices: described}, {SharedCounters: counters}}
}

func partition(whole device, name, fraction string, memory int64) resource.Device {
	described := describe(whole, name, fraction, memory)
	quantity := *apiresource.NewQuantity(memory, apiresource.BinarySI)
	described.ConsumesCounters = []resource.DeviceCounterConsumption{{
		CounterSet: whole.Name, Counters: map[string]resource.Counter{"memory": {Value: quantity}},
	}}
	return described
}

func describe(found device, name, fraction string, memory int64) resource.Device {
	text := func(value string) resource.DeviceAttribute { return resource.DeviceAttribute{StringValue: &value} }
	return resource.Device{
		Name: name,
		Attributes: map[resource.QualifiedName]resource.DeviceAttribute{
			"uuid":          text(found.UUID),
			"model":         text(found.Model),
			"rack":          text(found.Rack),
			"fraction":      text(fraction),
			"driverVersion": {VersionValue: &found.Driver},
		},
		Capacity: map[resource.QualifiedName]resource.DeviceCapacity{
			"memory": {Value: *apiresource.NewQuantity(memory, apiresource.BinarySI)},
		},
	}
}

func (driver) PrepareResourceClaims(_ context.Context, claims []*resource.ResourceClaim) (map[types.UID]kubeletplugin.PrepareResult, error) {
	results := map[types.UID]kubeletplugin.PrepareResult{}
	for _, claim := range claims {
		results[claim.UID] = prepare(claim)
	}
	return results, nil
}

func prepare(claim *resource.ResourceClaim) kubeletplugin.PrepareResult {
	var prepared []kubeletplugin.Device
	var described []map[string]any
	if claim.Status.Allocation == nil {
		return kubeletplugin.PrepareResult{Err: fmt.Errorf("claim %s/%s is not allocated", claim.Namespace, claim.Name)}
	}
	for index, result := range claim.Status.Allocation.Devices.Results {
		if result.Driver != driverName {
			continue
		}
		path := filepath.Join("/dev/plimsoll", strings.ReplaceAll(result.Device, "-", "."))
		name := fmt.Sprintf("%s-%d", claim.UID, index)
		described = append(described, map[string]any{
			"name": name,
			"containerEdits": map[string]any{
				"deviceNodes": []map[string]any{{"path": path, "permissions": "rw"}},
			},
		})
		prepared = append(prepared, kubeletplugin.Device{
			Requests:     []string{result.Request},
			PoolName:     result.Pool,
			DeviceName:   result.Device,
			ShareID:      result.ShareID,
			CDIDeviceIDs: []string{cdiKind + "=" + name},
		})
	}
	text, err := json.Marshal(map[string]any{"cdiVersion": "0.6.0", "kind": cdiKind, "devices": described})
	if err == nil {
		err = replace(cdiFile(claim.UID), text)
	}
	return kubeletplugin.PrepareResult{Devices: prepared, Err: err}
}

func (driver) UnprepareResourceClaims(_ context.Context, claims []kubeletplugin.NamespacedObject) (map[types.UID]error, error) {
	results := map[types.UID]error{}
	for _, claim := range claims {
		err := os.Remove(cdiFile(claim.UID))
		if os.IsNotExist(err) {
			err = nil
		}
		results[claim.UID] = err
	}
	return results, nil
}

func (driver) HandleError(_ context.Context, err error, message string) {
	log.Printf("%s: %v", message, err)
}

func (driver) WatchHealthStatus(ctx context.Context, _ chan<- kubeletplugin.DeviceHealthReport) error {
	<-ctx.Done()
	return ctx.Err()
}

func cdiFile(claim types.UID) string {
	return filepath.Join(cdiFolder, fmt.Sprintf("%s-%s.json", driverName, claim))
}

// replace writes a file so that the container runtime, which may look at any time, never reads half of it.
func replace(path string, text []byte) error {
	temporary := filepath.Join(filepath.Dir(path), ".new-"+filepath.Base(path))
	if err := os.WriteFile(temporary, text, 0o644); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
