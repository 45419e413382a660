// Machine is the first process of one of the lab's machines: a control plane or a node.
//
// It runs as process 1 of its own PID, mount, UTS and IPC namespaces. It mounts what makes the place a machine of its
// own, starts the machine's programs, starts them again when they end, and reaps what containers leave behind. When it
// dies the kernel ends every process of the machine and drops every mount: nothing can outlive it.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

type mount struct {
	Source string `json:"source"`
	Target string `json:"target"`
	// Type is a file system such as "tmpfs", or "bind" to show the folder or file Source at Target.
	Type string `json:"type"`
	// Data goes to the file system as it is, for example "size=64m".
	Data string `json:"data"`
}

type device struct {
	Path  string `json:"path"`
	Block bool   `json:"block"`
	Major uint32 `json:"major"`
	Minor uint32 `json:"minor"`
	Mode  uint32 `json:"mode"`
}

type program struct {
	Name    string   `json:"name"`
	Command []string `json:"command"`
	// Log is the file that its output is appended to.
	Log string `json:"log"`
	// Needs is what must answer before the program starts: "unix:PATH", "tcp:HOST:PORT", "https://…" or nothing.
	Needs string `json:"needs"`
}

type configuration struct {
	Hostname string            `json:"hostname"`
	Mounts   []mount           `json:"mounts"`
	Devices  []device          `json:"devices"`
	Links    map[string]string `json:"links"`
	Programs []program         `json:"programs"`
	// Status is a file that holds the PIDs (as this namespace counts) and restarts of the programs, as JSON.
	Status string `json:"status"`
}

func main() {
	log.SetFlags(log.LstdFlags | log.LUTC)
	if len(os.Args) != 2 {
		log.Fatal("usage: machine CONFIGURATION.json")
	}
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	var wanted configuration
	if err := json.Unmarshal(text, &wanted); err != nil {
		log.Fatalf("%s: %v", os.Args[1], err)
	}
	if os.Getpid() != 1 {
		log.Fatal("machine must be the first process of a PID namespace: it ends every process beside it")
	}
	if err := furnish(wanted); err != nil {
		log.Fatalf("machine %s: %v", wanted.Hostname, err)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	supervise(wanted.Programs, wanted.Status, stop)
}

// furnish gives the machine its name, mounts, devices and links.
func furnish(wanted configuration) error {
	if err := syscall.Sethostname([]byte(wanted.Hostname)); err != nil {
		return fmt.Errorf("host name: %w", err)
	}
	// First cut off from the host, or every mount would appear there and outlive the machine.
	if err := syscall.Mount("", "/", "", syscall.MS_PRIVATE|syscall.MS_REC, ""); err != nil {
		return fmt.Errorf("making / private: %w", err)
	}
	for _, each := range wanted.Mounts {
		if err := apply(each); err != nil {
			return err
		}
	}
	for _, each := range wanted.Devices {
		if err := makeNode(each); err != nil {
			return err
		}
	}
	for path, target := range wanted.Links {
		if err := os.Symlink(target, path); err != nil && !os.IsExist(err) {
			return err
		}
	}
	// Shared among the machine's own namespaces: what the kubelet mounts has to reach containers that ask for it.
	if err := syscall.Mount("", "/", "", syscall.MS_SHARED|syscall.MS_REC, ""); err != nil {
		return fmt.Errorf("making / shared: %w", err)
	}
	return nil
}

func apply(wanted mount) error {
	information, err := os.Stat(wanted.Source)
	if wanted.Type == "bind" && err == nil && !information.IsDir() {
		if file, err := os.OpenFile(wanted.Target, os.O_CREATE, 0o644); err == nil {
			file.Close()
		}
	} else if err := os.MkdirAll(wanted.Target, 0o755); err != nil {
		return fmt.Errorf("mount point %s: %w", wanted.Target, err)
	}
	flags, kind := uintptr(0), wanted.Type
	if kind == "bind" {
		flags, kind = syscall.MS_BIND|syscall.MS_REC, ""
	}
	if err := syscall.Mount(wanted.Source, wanted.Target, kind, flags, wanted.Data); err != nil {
		return fmt.Errorf("mounting %s at %s as %s: %w", wanted.Source, wanted.Target, wanted.Type, err)
	}
	return nil
}

func makeNode(wanted device) error {
	if err := os.MkdirAll(filepath.Dir(wanted.Path), 0o755); err != nil {
		return err
	}
	kind := uint32(syscall.S_IFCHR)
	if wanted.Block {
		kind = syscall.S_IFBLK
	}
	number := int(wanted.Major<<8 | wanted.Minor&0xff | (wanted.Minor&^0xff)<<12)
	if err := syscall.Mknod(wanted.Path, kind|wanted.Mode, number); err != nil && !os.IsExist(err) {
		return fmt.Errorf("device %s: %w", wanted.Path, err)
	}
	// The process's umask took bits away from the mode.
	return os.Chmod(wanted.Path, os.FileMode(wanted.Mode))
}

func writeStatus(path string, programs map[string]*state) {
	var lines []string
	for name, each := range programs {
		lines = append(lines, fmt.Sprintf("%q: {\"pid\": %d, \"restarts\": %d}", name, each.pid, each.restarts))
	}
	temporary := path + ".new"
	if err := os.WriteFile(temporary, []byte("{"+strings.Join(lines, ", ")+"}\n"), 0o644); err == nil {
		_ = os.Rename(temporary, path)
	}
}
