package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	coolest = 35.0 // °C, idle
	hottest = 85.0 // °C, after long full load
	// Share of the way to its final temperature that a device makes in a second.
	warming = 0.1
	// Where the files behind the devices lie, one per device.
	memoryFolder = "/var/lib/accelerators"
)

// gauge is what is measured of a device.
type gauge struct {
	utilization float64 // 0 to 1, over the last interval
	used        int64   // bytes
	temperature float64 // °C, follows utilization slowly
	busy        uint64  // ms since the device was made
}

// export measures the devices at every interval and serves what it found at :9400/metrics. The driver is healthy, at
// :9400/healthz, while the kubelet follows all that it offers.
func export(devices []device, offered []*offer, node string, interval time.Duration) {
	var lock sync.Mutex
	gauges := make([]gauge, len(devices))
	for index, each := range devices {
		gauges[index] = gauge{busy: busy(each), temperature: coolest}
	}
	go func() {
		last := time.Now()
		for range time.Tick(interval) {
			now := time.Now()
			lock.Lock()
			for index, each := range devices {
				gauges[index] = gauges[index].next(busy(each), used(each), now.Sub(last).Seconds())
			}
			lock.Unlock()
			last = now
		}
	}()
	http.HandleFunc("/metrics", func(answer http.ResponseWriter, _ *http.Request) {
		lock.Lock()
		defer lock.Unlock()
		answer.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		fmt.Fprint(answer, exposition(devices, gauges, node))
	})
	http.HandleFunc("/healthz", func(answer http.ResponseWriter, _ *http.Request) {
		for _, each := range offered {
			if each.watchers.Load() == 0 {
				http.Error(answer, "the kubelet does not follow "+each.resource, http.StatusServiceUnavailable)
				return
			}
		}
		fmt.Fprintln(answer, "ok")
	})
	log.Fatal(http.ListenAndServe(":9400", nil))
}

func (g gauge) next(busy uint64, used int64, seconds float64) gauge {
	utilization := min(1, float64(busy-g.busy)/1000/seconds)
	target := coolest + (hottest-coolest)*utilization
	temperature := g.temperature + (target-g.temperature)*min(1, warming*seconds)
	return gauge{utilization: utilization, used: used, temperature: temperature, busy: busy}
}

// busy gives the milliseconds that a device had requests in flight: field 10 of Documentation/block/stat.rst.
func busy(found device) uint64 {
	var total uint64
	for _, loop := range found.loops() {
		text, err := os.ReadFile("/sys/block/" + loop + "/stat")
		if fields := strings.Fields(string(text)); err == nil && len(fields) >= 10 {
			value, _ := strconv.ParseUint(fields[9], 10, 64)
			total += value
		}
	}
	return total
}

// used gives the bytes of a device's memory that have been written: what its file occupies on disk.
func used(found device) int64 {
	text, err := os.ReadFile("/sys/block/" + found.loops()[0] + "/loop/backing_file")
	if err != nil {
		return 0
	}
	// The kernel tells the file's path on the host; this program sees the same folder elsewhere.
	var status syscall.Stat_t
	if syscall.Stat(filepath.Join(memoryFolder, filepath.Base(strings.TrimSpace(string(text)))), &status) != nil {
		return 0
	}
	return status.Blocks * 512
}

func exposition(devices []device, gauges []gauge, node string) string {
	var text strings.Builder
	family := func(name, help string, value func(int) float64) {
		fmt.Fprintf(&text, "# HELP plimsoll_accelerator_%s %s\n# TYPE plimsoll_accelerator_%s gauge\n", name, help, name)
		for index, each := range devices {
			labels := fmt.Sprintf("uuid=%q,device=%q,model=%q,node=%q", each.UUID, each.Name, each.Model, node)
			fmt.Fprintf(&text, "plimsoll_accelerator_%s{%s} %g\n", name, labels, value(index))
		}
	}
	family("utilization_ratio", "Share of the last second in which the device was busy.", func(i int) float64 { return gauges[i].utilization })
	family("memory_used_bytes", "Memory of the device that has been written.", func(i int) float64 { return float64(gauges[i].used) })
	family("memory_total_bytes", "Memory of the device.", func(i int) float64 { return float64(devices[i].Memory) })
	family("temperature_celsius", "Follows utilization as a heavy body would.", func(i int) float64 { return gauges[i].temperature })
	return text.String()
}
