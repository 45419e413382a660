package main

import (
	"context"
	"fmt"
	"log"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

const resourceName = "plimsoll.dev/accelerator"

// offer is one resource of the device plugin: the devices behind it, and how many containers may hold each.
type offer struct {
	api.UnimplementedDevicePluginServer
	resource string
	devices  map[string]device // by UUID
	shares   int
	watchers atomic.Int32 // streams by which the kubelet follows the devices at the moment
}

func offers(devices []device) []*offer {
	exclusive := &offer{resource: resourceName, devices: map[string]device{}, shares: 1}
	shared := &offer{resource: resourceName + "-shared", devices: map[string]device{}, shares: shares}
	for _, each := range devices {
		switch each.Offer {
		case offerPlugin:
			exclusive.devices[each.UUID] = each
		case offerPluginShared:
			shared.devices[each.UUID] = each
		}
	}
	return []*offer{exclusive, shared}
}

// serve offers the resource until ctx ends. A kubelet that restarts removes the sockets of all plugins and forgets
// them: that is when to start over.
func (o *offer) serve(ctx context.Context) {
	for ctx.Err() == nil {
		if err := o.serveOnce(ctx); err != nil {
			log.Printf("%s: %v", o.resource, err)
		}
		time.Sleep(time.Second)
	}
}

func (o *offer) serveOnce(ctx context.Context) error {
	// A name of its own each time: the kubelet refuses one that it still holds for connected, and a driver that ends
	// late takes no other's socket away.
	name := fmt.Sprintf("%s-%x.sock", strings.ReplaceAll(o.resource, "/", "_"), rand.Uint64())
	socket := filepath.Join(api.DevicePluginPath, name)
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	defer server.Stop()
	api.RegisterDevicePluginServer(server, o)
	go func() { _ = server.Serve(listener) }()
	if err := o.register(ctx, name); err != nil {
		return err
	}
	for ctx.Err() == nil {
		if _, err := os.Stat(socket); err != nil {
			return fmt.Errorf("the kubelet has restarted; registering again")
		}
		time.Sleep(time.Second)
	}
	return nil
}

func (o *offer) register(ctx context.Context, endpoint string) error {
	connection, err := grpc.NewClient("unix://"+api.KubeletSocket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	limited, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, err = api.NewRegistrationClient(connection).Register(limited, &api.RegisterRequest{
		Version:      api.Version,
		Endpoint:     endpoint,
		ResourceName: o.resource,
	})
	return err
}

func (o *offer) GetDevicePluginOptions(context.Context, *api.Empty) (*api.DevicePluginOptions, error) {
	return &api.DevicePluginOptions{}, nil
}

func (o *offer) ListAndWatch(_ *api.Empty, stream api.DevicePlugin_ListAndWatchServer) error {
	reported := ""
	o.watchers.Add(1)
	defer o.watchers.Add(-1)
	for stream.Context().Err() == nil {
		answer := &api.ListAndWatchResponse{}
		for uuid, each := range o.devices {
			health := api.Healthy
			if _, err := os.Stat(each.path()); err != nil {
				health = api.Unhealthy
			}
			for share := range o.shares {
				answer.Devices = append(answer.Devices, &api.Device{ID: fmt.Sprintf("%s/%d", uuid, share), Health: health})
			}
		}
		state := fmt.Sprint(len(answer.Devices), strings.Count(answer.String(), api.Unhealthy))
		if state != reported {
			if err := stream.Send(answer); err != nil {
				return err
			}
			reported = state
		}
		time.Sleep(time.Second)
	}
	return nil
}

func (o *offer) Allocate(_ context.Context, request *api.AllocateRequest) (*api.AllocateResponse, error) {
	answer := &api.AllocateResponse{}
	for _, container := range request.ContainerRequests {
		var uuids []string
		allocated := &api.ContainerAllocateResponse{}
		for _, id := range container.DevicesIds {
			uuid, _, _ := strings.Cut(id, "/")
			found, known := o.devices[uuid]
			if !known {
				return nil, fmt.Errorf("there is no accelerator %s", uuid)
			}
			uuids = append(uuids, uuid)
			allocated.Devices = append(allocated.Devices, &api.DeviceSpec{
				HostPath: found.path(), ContainerPath: found.path(), Permissions: "rw",
			})
		}
		allocated.Envs = map[string]string{"PLIMSOLL_ACCELERATORS": strings.Join(uuids, ",")}
		answer.ContainerResponses = append(answer.ContainerResponses, allocated)
	}
	return answer, nil
}
