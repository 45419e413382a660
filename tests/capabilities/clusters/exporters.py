"""An exporter of accelerators' metrics for a node in memory, and the pod that loads a device."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from plimsoll.capabilities.accelerator_metrics.judge import CASES, MEMORY_CASES
from plimsoll.kubernetes.api import Manifest
from tests.capabilities.clusters.claims import accelerators
from tests.capabilities.clusters.devices import IDENTITIES, NODE, PLUGIN
from tests.capabilities.clusters.network import Said, shell
from tests.capabilities.clusters.nodes import Pod, State
from tests.capabilities.clusters.scene import Scene

UTILIZATION, MEMORY = "plimsoll_accelerator_utilization_ratio", "plimsoll_accelerator_memory_used_bytes"
LOADED = PLUGIN[0].uuid
_IMAGE = "example.com/exporter:1"
_PAGE = re.compile(r"echo '== (\S+) (\d+)'; (curl [^|\n]*)\|")
_ORDER = re.compile(r"echo '== (started|stopped|emptied|taken|given-back) 0'; (curl .*)$", re.MULTILINE)
_TAKEN = re.compile(r"^dd .*count=(\d+)")
_LOOKS, _ROUNDS = 6, 20


class Exporter:
    """Serves a page with the utilization and memory of each device, as of the second at which it is asked.

    A subclass does something wrong. `loaded` is since when the device is in use, `None` while it is not.
    """

    def __init__(self) -> None:
        self.second = 0
        self.loaded: int | None = None
        self.freed = -100
        self.held = 0

    def run(self, pod: Pod) -> State | None:
        """The program of the exporter, of the pod with the load, and of the client that scrapes."""
        if pod.manifest["spec"]["containers"][0]["image"] == _IMAGE:
            pod.serve(lambda asked: Said(body=self.page()) if asked.path == "/metrics" else Said(status=404))
            return State.LASTS
        if "/tmp/go" in pod.script and pod.limits:
            pod.print(f"{LOADED}\nlistening on 8081")
            pod.serve(shell(self.told))
            return State.LASTS
        if "== " in pod.script:
            pod.print("".join(self._scraped(pod)))
            return State.ENDS
        return None

    def told(self, command: str) -> str:
        """Begin and end the load."""
        if "touch" in command:
            self.loaded = self.second
            return ""
        if taken := _TAKEN.search(command):
            self.held = int(taken[1]) << 20
            return "did\n"
        if "blkdiscard" in command:
            self.held = 0
            return "did\n"
        self.loaded, self.freed = None, self.second
        return "did\n"

    def _scraped(self, pod: Pod) -> Iterator[str]:
        """What the client prints: each case for as many rounds as its script says."""
        steps: list[tuple[int, str, list[tuple[str, str]]]] = []
        for found in _PAGE.finditer(pod.script):
            if not steps or steps[-1][1] != found[1]:
                steps.append((found.start(), found[1], []))
            steps[-1][2].append((found[2], found[3]))
        orders = [(found.start(), found[1], [("0", found[2])]) for found in _ORDER.finditer(pod.script)]
        for _, case, pages in sorted([*steps, *orders]):
            yield from self._rounds(pod, case, pages)

    def _rounds(self, pod: Pod, case: str, pages: list[tuple[str, str]]) -> Iterator[str]:
        until: dict[str, Callable[[float], bool]] = {
            "rising": lambda most: most > 0.5,
            "falling": lambda most: most <= 0.1,
        }
        rounds = _LOOKS if case in (*CASES, *MEMORY_CASES) else _ROUNDS if case in until else 1
        for _ in range(rounds):
            texts = [f"== {case} {number}\n{pod.network.run(command)}" for number, command in pages]
            yield from texts
            self.second += 1
            values = [float(line.split()[-1]) for text in texts for line in text.splitlines() if UTILIZATION in line]
            if case in until and values and until[case](max(values)):
                return

    def page(self) -> str:
        """The page as of now."""
        lines = []
        for number, device in enumerate(IDENTITIES):
            value = self.utilization(device, number)
            if value is not None:
                lines.append(f'{UTILIZATION}{{uuid="{self.name(device)}"}} {value}')
            lines.append(f'{MEMORY}{{uuid="{self.name(device)}"}} {self.memory(device, number)}')
        return "\n".join([*lines, ""])

    def utilization(self, device: str, number: int) -> float | None:
        """How much a device is used, from 0 to 1."""
        if device == LOADED and self.loaded is not None:
            return min(0.95, 0.4 * (self.second - self.loaded + 1))
        return 0.01 * (number % 3)

    def memory(self, device: str, number: int) -> float:
        """The used memory of a device, in bytes."""
        return 1024 * number + (self.held if device == LOADED else 0)

    def name(self, device: str) -> str:
        """The id under which a device is shown."""
        return device


def exporters(scene: Scene, exporter: Exporter | None = None, *more: Exporter) -> None:
    """Accelerators, and pods on their node that serve metrics."""
    accelerators(scene)
    for number, found in enumerate((exporter or Exporter(), *more)):
        scene.nodes.programs.insert(0, found.run)
        _start(scene, f"exporter-{number}")


def _start(scene: Scene, name: str) -> Manifest:
    container = {"name": "main", "image": _IMAGE, "ports": [{"name": "metrics", "containerPort": 9400}]}
    metadata = {"name": name, "namespace": "default"}
    made = scene.api.create(
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container], "nodeName": NODE}}
    )
    scene.clock.settle()
    return made
