// Forward carries TCP connections from a listening socket that it inherits to one address.
//
// The socket was opened in the machine's ordinary network, this process runs inside the lab's: sockets keep the
// network they were made in, so it is a door between the two without an address or a rule on the outside. The door is
// also the lab's link to the world, which a file can slow, throttle and cut.
package main

import (
	"log"
	"net"
	"os"
	"strconv"
	"time"
)

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: forward FILE_DESCRIPTOR ADDRESS SETTINGS")
	}
	descriptor, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.FileListener(os.NewFile(uintptr(descriptor), "inherited"))
	if err != nil {
		log.Fatal(err)
	}
	link := &link{path: os.Args[3]}
	link.read()
	go link.follow()
	for {
		client, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go connect(link, client.(*net.TCPConn), os.Args[2])
	}
}

func connect(link *link, client *net.TCPConn, address string) {
	defer client.Close()
	found, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		log.Print(err)
		return
	}
	server := found.(*net.TCPConn)
	defer server.Close()
	done := make(chan struct{})
	go func() {
		link.carry(server, client, 0)
		_ = server.CloseWrite()
		close(done)
	}()
	link.carry(client, server, 1)
	_ = client.CloseWrite()
	<-done
}
