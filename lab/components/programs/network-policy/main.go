// Network-policy enforces NetworkPolicy on one node with nftables.
//
// It watches pods, namespaces and policies, and on every change replaces one nftables table in a single transaction.
// It filters what the node forwards, so it sees every packet to or from a pod of the node except those of the node
// itself, which a policy may not block anyway (kubelet probes). A connection that was allowed lives on when a policy
// changes. Between a pod's start and its address being known nothing is filtered: that takes up to a second.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/exec"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// Changes come in bursts; one table for all of a burst.
const settle = 50 * time.Millisecond

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: network-policy KUBECONFIG NODE")
	}
	config, err := clientcmd.BuildConfigFromFlags("", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	config.ContentType = "application/vnd.kubernetes.protobuf"
	if err := enforce(kubernetes.NewForConfigOrDie(config), os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func enforce(client kubernetes.Interface, node string) error {
	factory := informers.NewSharedInformerFactory(client, 0)
	pods, namespaces := factory.Core().V1().Pods(), factory.Core().V1().Namespaces()
	policies := factory.Networking().V1().NetworkPolicies()
	changed := make(chan struct{}, 1)
	notice := func(any) {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	for _, each := range []cache.SharedIndexInformer{pods.Informer(), namespaces.Informer(), policies.Informer()} {
		handler := cache.ResourceEventHandlerFuncs{AddFunc: notice, UpdateFunc: func(_, new any) { notice(new) }, DeleteFunc: notice}
		if _, err := each.AddEventHandler(handler); err != nil {
			return err
		}
	}
	factory.Start(context.Background().Done())
	factory.WaitForCacheSync(context.Background().Done())
	applied := ""
	for range changed {
		time.Sleep(settle)
		world, err := look(pods.Lister().List, namespaces.Lister().List, policies.Lister().List)
		if err != nil {
			return err
		}
		rules := world.rules(node)
		if rules == applied {
			continue
		}
		if err := apply(rules); err != nil {
			return err
		}
		applied = rules
	}
	return nil
}

type lister[T any] func(labels.Selector) ([]T, error)

func apply(rules string) error {
	command := exec.Command("nft", "-f", "-")
	command.Stdin = strings.NewReader(rules)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s\n%s", err, output, rules)
	}
	return nil
}
