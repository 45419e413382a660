package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"syscall"
)

// How a device is offered; the lab writes one of these into its first block.
const (
	offerPlugin       = "plugin"        // by the device plugin, to one container at a time
	offerPluginShared = "plugin-shared" // by the device plugin, to two containers at a time
	offerClaim        = "claim"         // by DRA, whole or in halves
	offerClaimShared  = "claim-shared"  // by DRA, to two claims at a time
)

const shares = 2

// identity is what the first block of a device says, as JSON padded with zeros.
type identity struct {
	UUID   string `json:"uuid"`
	Model  string `json:"model"`
	Memory int64  `json:"memory"` // bytes
	Driver string `json:"driver"` // version of the driver that it was made for
	Rack   string `json:"rack"`
	Offer  string `json:"offer"`
}

type device struct {
	identity
	// Name is "accelerator3" and the device's node /dev/plimsoll/accelerator3.
	Name string
	// Halves are device nodes of the first and the second half of the same memory.
	Halves []string
}

func (d device) path() string { return filepath.Join("/dev/plimsoll", d.Name) }

// loops gives the names of the kernel's block devices behind a device: the whole one and its halves.
func (d device) loops() []string {
	var found []string
	for _, name := range append([]string{d.Name}, d.Halves...) {
		var status syscall.Stat_t
		if syscall.Stat(filepath.Join("/dev/plimsoll", name), &status) == nil {
			minor := status.Rdev&0xff | status.Rdev>>12&^0xff
			found = append(found, fmt.Sprintf("loop%d", minor))
		}
	}
	return found
}

func discover(folder string) ([]device, error) {
	paths, err := filepath.Glob(filepath.Join(folder, "accelerator*"))
	if err != nil {
		return nil, err
	}
	sort.Strings(paths)
	var devices []device
	for _, path := range paths {
		name := filepath.Base(path)
		if extension := filepath.Ext(name); extension != "" {
			last := &devices[len(devices)-1]
			last.Halves = append(last.Halves, name)
			continue
		}
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		block := make([]byte, 4096)
		_, err = file.Read(block)
		file.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		found := device{Name: name}
		if err := json.Unmarshal(bytes.TrimRight(block, "\x00"), &found.identity); err != nil {
			return nil, fmt.Errorf("%s is not an accelerator: %w", path, err)
		}
		devices = append(devices, found)
	}
	return devices, nil
}
