package main

import (
	"errors"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

const (
	shortestPause = 200 * time.Millisecond
	longestPause  = 5 * time.Second
	// A program that ran this long did start: its next failure is a new one.
	settled = 20 * time.Second
	// How long programs get to end by themselves when the machine is stopped.
	patience = 3 * time.Second
)

type state struct {
	program  program
	pid      int
	restarts int
	began    time.Time
	pause    time.Duration
}

// supervise keeps the programs running until a signal arrives on stop.
func supervise(programs []program, status string, stop <-chan os.Signal) {
	ended := make(chan os.Signal, 64)
	signal.Notify(ended, syscall.SIGCHLD)
	again := make(chan string, len(programs))
	states := map[string]*state{}
	for _, each := range programs {
		states[each.Name] = &state{program: each, pause: shortestPause}
		startWhenReady(states[each.Name], 0, again)
	}
	writeStatus(status, states)
	for {
		select {
		case <-ended:
			for _, name := range reap(states) {
				failed := states[name]
				failed.pid = 0
				failed.restarts++
				startWhenReady(failed, nextPause(failed), again)
			}
			writeStatus(status, states)
		case name := <-again:
			start(states[name])
			writeStatus(status, states)
		case <-stop:
			shutDown(states)
			return
		}
	}
}

// startWhenReady sends the program's name on again after the pause, once what it needs answers.
func startWhenReady(wanted *state, pause time.Duration, again chan<- string) {
	need, name := wanted.program.Needs, wanted.program.Name
	time.AfterFunc(pause, func() {
		if need != "" {
			awaitNeed(need)
		}
		again <- name
	})
}

func nextPause(failed *state) time.Duration {
	if time.Since(failed.began) > settled {
		failed.pause = shortestPause
	}
	pause := failed.pause
	failed.pause = min(2*failed.pause, longestPause)
	return pause
}

func start(wanted *state) {
	wanted.began = time.Now()
	output, err := os.OpenFile(wanted.program.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		log.Printf("%s: %v", wanted.program.Name, err)
		return
	}
	defer output.Close()
	command := exec.Command(wanted.program.Command[0], wanted.program.Command[1:]...)
	command.Stdout, command.Stderr = output, output
	// A session of its own, so that a signal to one program's group reaches no other.
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		log.Printf("%s: %v", wanted.program.Name, err)
		return
	}
	// Only reap waits: two waiters would race for the same child.
	wanted.pid = command.Process.Pid
	_ = command.Process.Release()
}

// reap collects every ended child, orphans of containers included, and names the programs among them.
func reap(states map[string]*state) []string {
	var names []string
	for {
		var result syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &result, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return names
		}
		for name, each := range states {
			if each.pid == pid {
				log.Printf("%s ended (status %d, signal %v)", name, result.ExitStatus(), result.Signal())
				names = append(names, name)
			}
		}
	}
}

// shutDown asks every program to end. What is left after patience ends with this process, by the kernel.
func shutDown(states map[string]*state) {
	for _, each := range states {
		if each.pid > 0 {
			_ = syscall.Kill(each.pid, syscall.SIGTERM)
		}
	}
	for limit := time.Now().Add(patience); time.Now().Before(limit); time.Sleep(20 * time.Millisecond) {
		for _, name := range reap(states) {
			states[name].pid = 0
		}
		running := 0
		for _, each := range states {
			if each.pid > 0 {
				running++
			}
		}
		if running == 0 {
			return
		}
	}
}
