// Has Envoy Gateway take an InferencePool as a route's backend: its extension server, asked for every translation.
//
// A pool's requests go to the address that its endpoint picker names in a header. The picker is an external processor,
// reached over TLS without verification, as it may serve with a certificate of its own making. Sources: the endpoint
// picker protocol (gateway-api-inference-extension, proposal 004), Envoy Gateway's extension server.
//
// A pool with failureMode FailOpen fails closed: nothing here knows its pods.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/envoyproxy/gateway/proto/extension"
)

type server struct {
	extension.UnimplementedEnvoyGatewayExtensionServer
}

// What of an InferencePool is needed here.
type pool struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Namespace string `json:"namespace"`
	} `json:"metadata"`
	Spec struct {
		Picker struct {
			Name string `json:"name"`
			Port *struct {
				Number uint32 `json:"number"`
			} `json:"port"`
		} `json:"endpointPickerRef"`
	} `json:"spec"`
}

func (each pool) picker() picker {
	port := uint32(9002)
	if each.Spec.Picker.Port != nil {
		port = each.Spec.Picker.Port.Number
	}
	return picker{fmt.Sprintf("%s.%s.svc", each.Spec.Picker.Name, each.Metadata.Namespace), port}
}

func firstPool(resources []*extension.ExtensionResource) (*pool, error) {
	for _, resource := range resources {
		found := &pool{}
		if err := json.Unmarshal(resource.UnstructuredBytes, found); err != nil {
			return nil, fmt.Errorf("a backend cannot be read: %w", err)
		}
		if found.Kind == "InferencePool" {
			return found, nil
		}
	}
	return nil, nil
}

func (server) PostRouteModify(
	_ context.Context, request *extension.PostRouteModifyRequest,
) (*extension.PostRouteModifyResponse, error) {
	found, err := firstPool(request.PostRouteContext.GetExtensionResources())
	if err != nil {
		return nil, err
	}
	if found != nil {
		if err := ask(request.Route, found.picker()); err != nil {
			return nil, err
		}
	}
	return &extension.PostRouteModifyResponse{Route: request.Route}, nil
}

func (server) PostClusterModify(
	_ context.Context, request *extension.PostClusterModifyRequest,
) (*extension.PostClusterModifyResponse, error) {
	found, err := firstPool(request.PostClusterContext.GetBackendExtensionResources())
	if err != nil {
		return nil, err
	}
	if found != nil {
		byHeader(request.Cluster, found.picker())
	}
	return &extension.PostClusterModifyResponse{Cluster: request.Cluster}, nil
}

func (server) PostTranslateModify(
	_ context.Context, request *extension.PostTranslateModifyRequest,
) (*extension.PostTranslateModifyResponse, error) {
	clusters, err := withPickers(request.Clusters)
	if err != nil {
		return nil, err
	}
	if len(clusters) > len(request.Clusters) {
		for _, listener := range request.Listeners {
			if err := withProcessor(listener); err != nil {
				return nil, err
			}
		}
	}
	return &extension.PostTranslateModifyResponse{
		Clusters: clusters, Secrets: request.Secrets, Listeners: request.Listeners, Routes: request.Routes,
	}, nil
}

func chains(listener *listenerv3.Listener) []*listenerv3.FilterChain {
	if listener.DefaultFilterChain == nil {
		return listener.FilterChains
	}
	return append([]*listenerv3.FilterChain{listener.DefaultFilterChain}, listener.FilterChains...)
}

func withPickers(clusters []*clusterv3.Cluster) ([]*clusterv3.Cluster, error) {
	seen := map[string]bool{}
	for _, cluster := range clusters {
		found, there := pickerOf(cluster)
		if !there || seen[found.cluster()] {
			continue
		}
		seen[found.cluster()] = true
		made, err := found.made()
		if err != nil {
			return nil, err
		}
		clusters = append(clusters, made)
	}
	return clusters, nil
}

func main() {
	address := ":5005"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	serving := grpc.NewServer()
	extension.RegisterEnvoyGatewayExtensionServer(serving, server{})
	grpc_health_v1.RegisterHealthServer(serving, health.NewServer())
	log.Fatal(serving.Serve(listener))
}
