package main

import (
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"time"
)

const (
	lookInterval = 100 * time.Millisecond
	lookLimit    = 5 * time.Second
)

// awaitNeed returns when what a program needs answers. There is no limit: on a busy machine a start takes minutes, and
// a program that starts too early ends again. Whoever brings the machine up has a limit of its own.
func awaitNeed(need string) {
	for !answers(need) {
		time.Sleep(lookInterval)
	}
}

// answers says whether "unix:PATH" or "tcp:HOST:PORT" takes a connection, or "https://…" answers with 200. The
// certificate is not verified: the answer of this machine's own program carries nothing.
func answers(need string) bool {
	if strings.HasPrefix(need, "https://") {
		transport := &http.Transport{
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
			DisableKeepAlives: true,
		}
		client := http.Client{Timeout: lookLimit, Transport: transport}
		response, err := client.Get(need)
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	}
	network, address, _ := strings.Cut(need, ":")
	connection, err := net.DialTimeout(network, address, lookLimit)
	if err != nil {
		return false
	}
	connection.Close()
	return true
}
