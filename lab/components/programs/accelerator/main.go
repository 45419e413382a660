// Accelerator is the driver of the lab's accelerators on one node: a device plugin, a DRA driver and a metrics exporter.
//
// An accelerator is a loop block device. Its silicon is fake; its device node, who may open it, its identity (written
// in its first block) and its utilisation (counted by the kernel) are real.
package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const (
	driverName = "accelerator.plimsoll.dev"
	kubelet    = "/var/lib/kubelet"
	cdiFolder  = "/var/run/cdi"
)

func main() {
	log.SetFlags(log.LstdFlags | log.LUTC)
	node := os.Getenv("NODE_NAME")
	if node == "" {
		log.Fatal("NODE_NAME is not set")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	devices, err := discover("/dev/plimsoll")
	if err != nil {
		log.Fatal(err)
	}
	config, err := rest.InClusterConfig()
	if err != nil {
		log.Fatal(err)
	}
	offered := offers(devices)
	for _, each := range offered {
		go each.serve(ctx)
	}
	stopDriver, err := startDriver(ctx, kubernetes.NewForConfigOrDie(config), node, devices)
	if err != nil {
		log.Fatal(err)
	}
	go export(devices, offered, node, time.Second)
	log.Printf("%d accelerators on %s", len(devices), node)
	<-ctx.Done()
	stopDriver()
}
