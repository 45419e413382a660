"""The known accelerators, as data: a new one is an entry here and nothing elsewhere."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct


class Hardware(Struct, frozen=True, kw_only=True):
    """A family of accelerators.

    - `resources`: the names under which device plugins count them; `drivers`: their DRA drivers; `classes`: device
      classes for a whole device.
    - `devices`: globs of the device files in a container that holds one; `variables`: environment variables that
      vendors' runtimes act upon.
    - `utilization` and `memory`: names of metrics; `identity`: labels by which a series names its device; `full`: the
      value of full utilization.
    - `load`: a shell script that uses a held device for a moment, to be repeated; empty when it takes a vendor's image.
    - `allocate`: a shell script that takes `{}` MiB of a held device's memory, 20 at most, and `free`: one that gives
      them back; empty when it takes a vendor's image. `memory_unit`: the bytes of one unit of its metrics of memory.
    - `version`: a shell script that prints the driver's version in a container that holds a device; `advertised`:
      attributes of devices and labels of nodes that name it.
    - `shared` resources and `shared_classes` let several pods hold one device; `part_classes` allocate parts of a
      device that are devices of their own.
    - `identity_script`: a shell script that prints, as `is VALUE`, the id that a held device reports; empty for none;
      `identity_attributes`: the DRA attributes with that value.
    """

    name: str
    resources: tuple[str, ...]
    drivers: tuple[str, ...]
    classes: tuple[str, ...]
    devices: tuple[str, ...]
    variables: tuple[str, ...] = ()
    utilization: tuple[str, ...] = ()
    memory: tuple[str, ...] = ()
    identity: tuple[str, ...] = ()
    full: float = 100.0
    load: str = ""
    allocate: str = ""
    free: str = ""
    memory_unit: float = 1.0
    version: str = ""
    advertised: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    shared_classes: tuple[str, ...] = ()
    part_classes: tuple[str, ...] = ()
    identity_script: str = ""
    identity_attributes: tuple[str, ...] = ()


HARDWARE = (
    Hardware(
        name="NVIDIA",
        resources=("nvidia.com/gpu",),
        drivers=("gpu.nvidia.com",),
        classes=("gpu.nvidia.com",),
        devices=("/dev/nvidia[0-9]*", "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-caps/*"),
        variables=("NVIDIA_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"),
        utilization=("DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_PROF_GR_ENGINE_ACTIVE"),
        memory=("DCGM_FI_DEV_FB_USED",),
        identity=("UUID", "uuid"),
        # The kernel module shows it to every process; no vendor's program is needed.
        version="sed -n 's/.*  \\([0-9][0-9.]*\\)  .*/\\1/p' /proc/driver/nvidia/version",
        advertised=("driverVersion", "nvidia.com/cuda.driver-version.full"),
        shared=("nvidia.com/gpu.shared",),
        part_classes=("mig.nvidia.com",),
        identity_script="for f in /dev/nvidia[0-9]*; do for i in /proc/driver/nvidia/gpus/*/information; do "
        'grep -q "^Device Minor:[[:space:]]*${f#/dev/nvidia}$" $i && sed -n "s/^GPU UUID:[[:space:]]*/is /p" $i; '
        "done; done",
        identity_attributes=("uuid",),
    ),
    Hardware(
        name="AMD",
        resources=("amd.com/gpu",),
        drivers=("gpu.amd.com",),
        classes=("gpu.amd.com",),
        devices=("/dev/kfd", "/dev/dri/renderD*", "/dev/dri/card*"),
        variables=("HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "AMD_VISIBLE_DEVICES"),
        utilization=("gpu_gfx_activity", "amd_gpu_gfx_activity"),
        memory=("gpu_used_vram", "amd_gpu_used_vram"),
        identity=("gpu_uuid", "serial_number", "gpu_id"),
        version="cat /sys/module/amdgpu/version",
        advertised=("driverVersion", "amd.com/gpu.driver-version"),
    ),
    Hardware(
        name="Intel",
        resources=("gpu.intel.com/i915", "gpu.intel.com/xe"),
        drivers=("gpu.intel.com",),
        classes=("gpu.intel.com",),
        devices=("/dev/dri/renderD*", "/dev/dri/card*"),
        variables=("ZE_AFFINITY_MASK",),
        utilization=("xpum_engine_ratio",),
        memory=("xpum_memory_used_bytes",),
        identity=("dev_file", "uuid"),
    ),
    Hardware(
        name="Gaudi",
        resources=("habana.ai/gaudi",),
        drivers=("gaudi.intel.com",),
        classes=("gaudi.intel.com",),
        devices=("/dev/accel/accel[0-9]*", "/dev/accel/accel_controlD*"),
        variables=("HABANA_VISIBLE_DEVICES",),
        utilization=("habanalabs_utilization",),
        memory=("habanalabs_memory_used_bytes",),
        identity=("UUID", "uuid"),
    ),
    Hardware(
        name="TPU",
        resources=("google.com/tpu",),
        drivers=("tpu.google.com",),
        classes=("tpu.google.com",),
        devices=("/dev/accel[0-9]*", "/dev/vfio/[0-9]*"),
        variables=("TPU_VISIBLE_CHIPS",),
        utilization=("duty_cycle", "tensorcore_utilization"),
        memory=("memory_used",),
        identity=("accelerator_id",),
    ),
    Hardware(
        name="Neuron",
        resources=("aws.amazon.com/neuron", "aws.amazon.com/neuroncore"),
        drivers=("neuron.aws.com",),
        classes=("neuron.aws.com",),
        devices=("/dev/neuron[0-9]*",),
        variables=("NEURON_RT_VISIBLE_CORES",),
        utilization=("neuroncore_utilization_ratio",),
        memory=("neuron_runtime_memory_used_bytes",),
        identity=("neuroncore", "neuron_device"),
        full=1.0,
    ),
    Hardware(
        name="Plimsoll lab",
        resources=("plimsoll.dev/accelerator",),
        drivers=("accelerator.plimsoll.dev",),
        classes=("accelerator.plimsoll.dev",),
        devices=("/dev/plimsoll/*", "/dev/loop*"),
        variables=("PLIMSOLL_ACCELERATORS",),
        utilization=("plimsoll_accelerator_utilization_ratio",),
        memory=("plimsoll_accelerator_memory_used_bytes",),
        identity=("uuid",),
        full=1.0,
        load="dd if=/dev/zero of=$(ls /dev/plimsoll/*) bs=1M count=32 seek=8 conv=fsync,notrunc 2>/dev/null",
        allocate="dd if=/dev/zero of=$(ls /dev/plimsoll/*) bs=1M count={} seek=40 conv=fsync,notrunc 2>/dev/null",
        free="blkdiscard -o $((40 << 20)) -l $((20 << 20)) $(ls /dev/plimsoll/*)",
        # The first block names the driver that made the device.
        version='head -c 4096 $(ls /dev/plimsoll/* | head -n 1) | sed -n \'s/.*"driver": *"\\([^"]*\\)".*/\\1/p\'',
        advertised=("driverVersion",),
        shared=("plimsoll.dev/accelerator-shared",),
        shared_classes=("shared.accelerator.plimsoll.dev",),
        part_classes=("half.accelerator.plimsoll.dev",),
        identity_script="head -c 4096 $(ls /dev/plimsoll/* | head -n 1) | grep -ao 'ACC-[0-9a-f-]*' | sed 's/^/is /'",
        identity_attributes=("uuid",),
    ),
)


def hardware_of_resource(name: str) -> Hardware | None:
    """The family whose devices a device plugin counts under a name; None for an unknown name."""
    return next((each for each in HARDWARE if name in each.resources), None)


def hardware_of_driver(name: str) -> Hardware | None:
    """The family of a DRA driver; None for an unknown driver."""
    return next((each for each in HARDWARE if name in each.drivers), None)


def extended_resources(resources: Iterable[str]) -> list[str]:
    """The extended resources: their names have a domain that is not Kubernetes' own."""
    return sorted(name for name in resources if "/" in name and not name.split("/")[0].endswith("kubernetes.io"))
