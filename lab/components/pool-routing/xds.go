package main

import (
	"fmt"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	processorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	managerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	protocolv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
)

const (
	filter  = "plimsoll.dev/endpoint-picker"
	manager = "envoy.filters.network.http_connection_manager"
	router  = "envoy.filters.http.router"
	chosen  = "x-gateway-destination-endpoint"
)

// An endpoint picker by the name and port of its Service.
type picker struct {
	host string
	port uint32
}

func (each picker) cluster() string { return fmt.Sprintf("%s/%s:%d", filter, each.host, each.port) }

// The picker reads the body for the model and the prompt while it comes, and changes it where it has to.
func (each picker) processor() *corev3.GrpcService {
	return &corev3.GrpcService{TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{
		EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: each.cluster(), Authority: each.host},
	}}
}

func mode() *processorv3.ProcessingMode {
	return &processorv3.ProcessingMode{
		RequestHeaderMode:   processorv3.ProcessingMode_SEND,
		RequestBodyMode:     processorv3.ProcessingMode_FULL_DUPLEX_STREAMED,
		RequestTrailerMode:  processorv3.ProcessingMode_SEND,
		ResponseHeaderMode:  processorv3.ProcessingMode_SEND,
		ResponseBodyMode:    processorv3.ProcessingMode_FULL_DUPLEX_STREAMED,
		ResponseTrailerMode: processorv3.ProcessingMode_SEND,
	}
}

// ask has a route's requests shown to a picker.
func ask(route *routev3.Route, by picker) error {
	overrides := &processorv3.ExtProcOverrides{GrpcService: by.processor(), ProcessingMode: mode()}
	settings, err := anypb.New(&processorv3.ExtProcPerRoute{
		Override: &processorv3.ExtProcPerRoute_Overrides{Overrides: overrides},
	})
	if err != nil {
		return err
	}
	if route.TypedPerFilterConfig == nil {
		route.TypedPerFilterConfig = map[string]*anypb.Any{}
	}
	route.TypedPerFilterConfig[filter] = settings
	return nil
}

// byHeader has a cluster's requests go where the header says; the picker is noted in the cluster's metadata.
func byHeader(cluster *clusterv3.Cluster, by picker) {
	cluster.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_ORIGINAL_DST}
	cluster.LbPolicy = clusterv3.Cluster_CLUSTER_PROVIDED
	cluster.LbConfig = &clusterv3.Cluster_OriginalDstLbConfig_{
		OriginalDstLbConfig: &clusterv3.Cluster_OriginalDstLbConfig{UseHttpHeader: true, HttpHeaderName: chosen},
	}
	cluster.EdsClusterConfig, cluster.LoadAssignment, cluster.LoadBalancingPolicy = nil, nil, nil
	cluster.CommonLbConfig = nil
	if cluster.Metadata == nil {
		cluster.Metadata = &corev3.Metadata{}
	}
	if cluster.Metadata.FilterMetadata == nil {
		cluster.Metadata.FilterMetadata = map[string]*structpb.Struct{}
	}
	cluster.Metadata.FilterMetadata[filter] = &structpb.Struct{Fields: map[string]*structpb.Value{
		"host": structpb.NewStringValue(by.host), "port": structpb.NewNumberValue(float64(by.port)),
	}}
}

func pickerOf(cluster *clusterv3.Cluster) (picker, bool) {
	noted, there := cluster.GetMetadata().GetFilterMetadata()[filter]
	if !there {
		return picker{}, false
	}
	return picker{noted.Fields["host"].GetStringValue(), uint32(noted.Fields["port"].GetNumberValue())}, true
}

// made is the cluster by which Envoy reaches the picker.
func (each picker) made() (*clusterv3.Cluster, error) {
	http2, err := anypb.New(&protocolv3.HttpProtocolOptions{
		UpstreamProtocolOptions: &protocolv3.HttpProtocolOptions_ExplicitHttpConfig_{
			ExplicitHttpConfig: &protocolv3.HttpProtocolOptions_ExplicitHttpConfig{
				ProtocolConfig: &protocolv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{
					Http2ProtocolOptions: &corev3.Http2ProtocolOptions{},
				},
			},
		},
	})
	if err != nil {
		return nil, err
	}
	unverified, err := anypb.New(&tlsv3.UpstreamTlsContext{
		CommonTlsContext: &tlsv3.CommonTlsContext{AlpnProtocols: []string{"h2"}}, Sni: each.host,
	})
	if err != nil {
		return nil, err
	}
	address := &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: each.host, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: each.port},
	}}}
	endpoint := &endpointv3.LbEndpoint{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{
		Endpoint: &endpointv3.Endpoint{Address: address},
	}}
	return &clusterv3.Cluster{
		Name:                 each.cluster(),
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STRICT_DNS},
		ConnectTimeout:       durationpb.New(5 * time.Second),
		LoadAssignment: &endpointv3.ClusterLoadAssignment{
			ClusterName: each.cluster(),
			Endpoints:   []*endpointv3.LocalityLbEndpoints{{LbEndpoints: []*endpointv3.LbEndpoint{endpoint}}},
		},
		TransportSocket: &corev3.TransportSocket{
			Name:       "envoy.transport_sockets.tls",
			ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: unverified},
		},
		TypedExtensionProtocolOptions: map[string]*anypb.Any{
			"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2,
		},
	}, nil
}

// withProcessor puts the filter, off but for routes that ask for it, before the router of each of a listener's chains.
func withProcessor(listener *listenerv3.Listener) error {
	for _, chain := range chains(listener) {
		for _, each := range chain.Filters {
			if each.Name != manager {
				continue
			}
			settings := &managerv3.HttpConnectionManager{}
			if err := each.GetTypedConfig().UnmarshalTo(settings); err != nil {
				return err
			}
			if err := processed(settings); err != nil {
				return err
			}
			changed, err := anypb.New(settings)
			if err != nil {
				return err
			}
			each.ConfigType = &listenerv3.Filter_TypedConfig{TypedConfig: changed}
		}
	}
	return nil
}

func processed(settings *managerv3.HttpConnectionManager) error {
	// Nobody: which picker is asked, each route says.
	none := picker{"nobody.invalid", 1}
	processor, err := anypb.New(&processorv3.ExternalProcessor{
		GrpcService:    none.processor(),
		ProcessingMode: mode(),
		MessageTimeout: durationpb.New(5 * time.Second),
	})
	if err != nil {
		return err
	}
	var filters []*managerv3.HttpFilter
	for _, each := range settings.HttpFilters {
		if each.Name == filter {
			return nil
		}
		if each.Name == router {
			filters = append(filters, &managerv3.HttpFilter{
				Name:       filter,
				Disabled:   true,
				ConfigType: &managerv3.HttpFilter_TypedConfig{TypedConfig: proto.Clone(processor).(*anypb.Any)},
			})
		}
		filters = append(filters, each)
	}
	settings.HttpFilters = filters
	return nil
}
