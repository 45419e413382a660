// Delay holds every packet of two netfilter queues for a while and then lets it go on, in order.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/florianl/go-nfqueue/v2"
)

// Packets that may wait at one time. More are let through at once rather than dropped.
const longestQueue = 65535

type waiting struct {
	id    uint32
	until time.Time
}

func main() {
	if len(os.Args) < 3 {
		log.Fatal("usage: delay DURATION QUEUE…")
	}
	pause, err := time.ParseDuration(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	for _, text := range os.Args[2:] {
		number, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			log.Fatal(err)
		}
		if err := hold(uint16(number), pause); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println("ready")
	select {}
}

func hold(number uint16, pause time.Duration) error {
	queue, err := nfqueue.Open(&nfqueue.Config{
		NfQueue:      number,
		MaxPacketLen: 0, // its number is enough: the packet itself stays in the kernel
		MaxQueueLen:  longestQueue,
		Copymode:     nfqueue.NfQnlCopyMeta,
		Flags:        nfqueue.NfQaCfgFlagGSO | nfqueue.NfQaCfgFlagFailOpen,
	})
	if err != nil {
		return fmt.Errorf("queue %d: %w", number, err)
	}
	line := make(chan waiting, longestQueue)
	go func() {
		for each := range line {
			time.Sleep(time.Until(each.until))
			_ = queue.SetVerdict(each.id, nfqueue.NfAccept)
		}
	}()
	return queue.RegisterWithErrorFunc(context.Background(), func(packet nfqueue.Attribute) int {
		line <- waiting{id: *packet.PacketID, until: time.Now().Add(pause)}
		return 0
	}, func(err error) int {
		log.Printf("queue %d: %v", number, err)
		return 0
	})
}
