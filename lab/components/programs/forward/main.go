// Forward carries TCP connections from a listening socket that it inherits to one address.
//
// The socket was opened in the machine's ordinary network, this process runs inside the lab's: sockets keep the
// network they were made in, so it is a door between the two without an address or a rule on the outside.
package main

import (
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"time"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: forward FILE_DESCRIPTOR ADDRESS")
	}
	descriptor, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.FileListener(os.NewFile(uintptr(descriptor), "inherited"))
	if err != nil {
		log.Fatal(err)
	}
	for {
		client, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go carry(client.(*net.TCPConn), os.Args[2])
	}
}

func carry(client *net.TCPConn, address string) {
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
		_, _ = io.Copy(server, client)
		_ = server.CloseWrite()
		close(done)
	}()
	_, _ = io.Copy(client, server)
	_ = client.CloseWrite()
	<-done
}
