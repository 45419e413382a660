// Karpenter with a provider whose machines are the lab's nodes: real ones, with a kubelet and accelerators.
package main

import (
	"log"
	"os"

	"sigs.k8s.io/karpenter/pkg/cloudprovider/overlay"
	"sigs.k8s.io/karpenter/pkg/controllers"
	"sigs.k8s.io/karpenter/pkg/controllers/state"
	"sigs.k8s.io/karpenter/pkg/operator"
)

func main() {
	socket := os.Getenv("LAB_NODES")
	if socket == "" {
		log.Fatal("LAB_NODES is not set: the path of the socket that starts and stops nodes")
	}
	ctx, op := operator.NewOperator()
	nodes := newProvider(socket)
	decorated := overlay.Decorate(nodes, op.GetClient(), op.InstanceTypeStore)
	cluster := state.NewCluster(op.Clock, op.GetClient(), decorated)
	op.WithControllers(ctx, controllers.NewControllers(
		ctx, op.Manager, op.Clock, op.GetClient(), op.EventRecorder, decorated, nodes, cluster, op.InstanceTypeStore,
	)...).Start(ctx)
}
