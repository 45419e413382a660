// Scale fills an etcd with what a Kubernetes API server would have stored for many nodes and their running pods.
//
// It writes the API server's own storage encoding, since a hundred thousand requests through the API would take minutes
// and leave the same bytes. Nothing runs behind these objects.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"sync"
	"sync/atomic"
	"time"

	etcd "go.etcd.io/etcd/client/v3"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"
)

const (
	perTransaction = 100 // etcd takes 128 operations at most
	writers        = 8
)

func main() {
	log.SetFlags(0)
	nodes := flag.Int("nodes", 0, "nodes")
	pods := flag.Int("pods", 0, "pods")
	namespaces := flag.Int("namespaces", 1, "namespaces that the pods are spread over")
	endpoint := flag.String("etcd", "", "address of etcd")
	certificate := flag.String("certificate", "", "file of the client's certificate")
	key := flag.String("key", "", "file of its key")
	authority := flag.String("authority", "", "file of the authority's certificate")
	flag.Parse()
	client, err := connect(*endpoint, *certificate, *key, *authority)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	world := world{nodes: *nodes, pods: *pods, namespaces: *namespaces, born: time.Now()}
	if err := fill(context.Background(), client, world); err != nil {
		log.Fatal(err)
	}
}

func connect(endpoint, certificate, key, authority string) (*etcd.Client, error) {
	own, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(authority)
	if err != nil {
		return nil, err
	}
	known := x509.NewCertPool()
	if !known.AppendCertsFromPEM(text) {
		return nil, errors.New(authority + " has no certificate")
	}
	return etcd.New(etcd.Config{
		Endpoints:   []string{endpoint},
		DialTimeout: 10 * time.Second,
		TLS:         &tls.Config{Certificates: []tls.Certificate{own}, RootCAs: known},
	})
}

// fill writes the world's objects in batches, several batches at a time, and prints how far it is.
func fill(ctx context.Context, client *etcd.Client, all world) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	total := all.count()
	batches := make(chan int)
	go func() {
		defer close(batches)
		for first := 0; first < total; first += perTransaction {
			select {
			case batches <- first:
			case <-ctx.Done():
				return
			}
		}
	}()
	var done atomic.Int64
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for first := range batches {
				last := min(first+perTransaction, total)
				if err := write(ctx, client, all, first, last); err != nil {
					cancel(err)
					return
				}
				before := done.Add(int64(last-first)) - int64(last-first)
				if before*10/int64(total) != (before+int64(last-first))*10/int64(total) {
					fmt.Printf("%d of %d objects\n", before+int64(last-first), total)
				}
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}

func write(ctx context.Context, client *etcd.Client, all world, first, last int) error {
	encoder := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme)
	operations := make([]etcd.Op, 0, last-first)
	for index := first; index < last; index++ {
		place, object := all.object(index)
		value, err := encode(encoder, object)
		if err != nil {
			return fmt.Errorf("%s: %w", place, err)
		}
		operations = append(operations, etcd.OpPut(place, value))
	}
	limited, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	_, err := client.Txn(limited).Then(operations...).Commit()
	return err
}

func encode(encoder runtime.Encoder, object runtime.Object) (string, error) {
	var buffer bytes.Buffer
	kinds, _, err := scheme.Scheme.ObjectKinds(object)
	if err != nil {
		return "", err
	}
	object.GetObjectKind().SetGroupVersionKind(kinds[0])
	if err := encoder.Encode(object, &buffer); err != nil {
		return "", err
	}
	return buffer.String(), nil
}
