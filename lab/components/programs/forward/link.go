package main

import (
	"encoding/json"
	"net"
	"os"
	"sync"
	"time"
)

// Settings of the link, from a file that changes while connections are open. A missing file is a good link.
type settings struct {
	// Each way, in milliseconds.
	Delay float64 `json:"delay"`
	// Of each direction, all connections together, in bits a second; 0 is unlimited.
	Rate float64 `json:"rate"`
	// Whether nothing passes, as with a cable that is pulled out: connections stay open and are silent.
	Cut bool `json:"cut"`
}

type link struct {
	path string
	lock sync.Mutex
	now  settings
	// When each direction is free again.
	free [2]time.Time
}

const look = 100 * time.Millisecond

// follow reads the settings for as long as the program runs.
func (l *link) follow() {
	for {
		l.read()
		time.Sleep(look)
	}
}

func (l *link) read() {
	found := settings{}
	if content, err := os.ReadFile(l.path); err == nil && json.Unmarshal(content, &found) != nil {
		return // half written: the next look finds it whole
	}
	l.lock.Lock()
	l.now = found
	l.lock.Unlock()
}

func (l *link) settings() settings {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.now
}

// leave says when so many bytes that are sent now have left the link in this direction.
func (l *link) leave(direction, size int) time.Time {
	l.lock.Lock()
	defer l.lock.Unlock()
	now := time.Now()
	if l.free[direction].Before(now) {
		l.free[direction] = now
	}
	if l.now.Rate > 0 {
		took := time.Duration(float64(8*size) / l.now.Rate * float64(time.Second))
		l.free[direction] = l.free[direction].Add(took)
	}
	return l.free[direction].Add(time.Duration(l.now.Delay * float64(time.Millisecond)))
}

type piece struct {
	content []byte
	due     time.Time
}

// carry moves bytes from one end to the other as the link lets them.
func (l *link) carry(to, from *net.TCPConn, direction int) {
	// What is under way on the link: a sender waits once the link is full.
	pieces := make(chan piece, 64)
	go func() {
		defer close(pieces)
		for {
			content := make([]byte, 16*1024)
			size, err := from.Read(content)
			if size > 0 {
				pieces <- piece{content[:size], l.leave(direction, size)}
			}
			if err != nil {
				return
			}
		}
	}()
	for each := range pieces {
		time.Sleep(time.Until(each.due))
		for l.settings().Cut {
			time.Sleep(look)
		}
		if _, err := to.Write(each.content); err != nil {
			_ = from.CloseRead() // ends the reader, which the loop then drains
		}
	}
}
