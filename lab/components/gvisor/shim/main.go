// The shim of gVisor, started without asking for a better OOM score.
//
// gVisor's own start lowers the score of the shim and fails where it may not: in a container, or in a small VM whose
// root lacks CAP_SYS_RESOURCE. Everything after the start is gVisor's.
package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"syscall"

	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/shim"
	gvisor "gvisor.dev/gvisor/pkg/shim/v1"
	_ "gvisor.dev/gvisor/pkg/shim/v1/plugin" // serves containers
)

const (
	name = "io.containerd.runsc.v1"
	// The containers of a pod are served by the shim of its sandbox.
	sandboxAnnotation = "io.kubernetes.cri.sandbox-id"
	protocolVersion   = 2
)

func main() {
	shim.Run(context.Background(), manager{gvisor.NewShimManager(name)})
}

type manager struct {
	shim.Manager
}

// Start is called in the folder of a container's bundle. It starts the shim of the container's pod, or finds it.
func (m manager) Start(ctx context.Context, id string, options shim.StartOpts) (shim.BootstrapParams, error) {
	pod, err := sandboxOf(id)
	if err != nil {
		return shim.BootstrapParams{}, err
	}
	address, err := shim.SocketAddress(ctx, options.Address, pod, options.Debug)
	if err != nil {
		return shim.BootstrapParams{}, err
	}
	answer := shim.BootstrapParams{Version: protocolVersion, Address: address, Protocol: "ttrpc"}
	if shim.CanConnect(address) {
		return answer, record(address)
	}
	_ = shim.RemoveSocket(address)
	if err := start(ctx, id, address, options); err != nil {
		_ = shim.RemoveSocket(address)
		return shim.BootstrapParams{}, err
	}
	return answer, nil
}

func sandboxOf(id string) (string, error) {
	text, err := os.ReadFile("config.json")
	if err != nil {
		return "", err
	}
	var bundle struct{ Annotations map[string]string }
	if err := json.Unmarshal(text, &bundle); err != nil {
		return "", err
	}
	if sandbox, found := bundle.Annotations[sandboxAnnotation]; found {
		return sandbox, nil
	}
	return id, nil
}

func start(ctx context.Context, id, address string, options shim.StartOpts) error {
	namespace, err := namespaces.NamespaceRequired(ctx)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	socket, err := shim.NewSocket(address)
	if err != nil {
		return err
	}
	file, err := socket.File()
	if err != nil {
		return err
	}
	defer file.Close()
	command := exec.Command(self, "-namespace", namespace, "-address", options.Address, "-id", id)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.ExtraFiles = []*os.File{file}
	if err := command.Start(); err != nil {
		return err
	}
	if err = record(address); err == nil {
		err = shim.WritePidFile("shim.pid", command.Process.Pid)
	}
	if err != nil {
		_ = command.Process.Kill()
	}
	return err
}

// record writes where the shim serves to the file in the bundle that gVisor reads it from.
func record(address string) error { return os.WriteFile("address", []byte(address), 0o644) }
