"""Inference pools for a cluster in memory: a picker that chooses by model and queue, and a gateway that asks it."""

from __future__ import annotations

import re

import msgspec

from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.memory.controllers import Gateways
from tests.capabilities.clusters.network import Asked, Said
from tests.capabilities.clusters.nodes import Pod, State
from tests.capabilities.clusters.scene import Scene
from tests.capabilities.clusters.traffic import Gateway, gateways

_SAY = re.compile(r'^sh /tmp/say "([^"]*)" (\d+)$')
_PORT = 8000


class Servers:
    """Model servers: what each reports of its model and its queue."""

    def __init__(self) -> None:
        self.told: dict[str, tuple[str, int]] = {}

    def run(self, pod: Pod) -> State | None:
        """The program of a model server, and of the picker, which has a command of its own."""
        if "/tmp/say" not in pod.script or not pod.script.startswith("printf"):
            return None
        self.told[pod.name] = ("", 0)

        def answer(asked: Asked) -> Said:
            if asked.path == "/shell":
                found = _SAY.match(asked.query["cmd"])
                assert found, asked
                self.told[pod.name] = (found[1], int(found[2]))
                return Said(body="{}")
            pod.print(f"GET {asked.path}")
            return Said(body=pod.name)

        pod.serve(answer)
        return State.LASTS


class Picking(Gateway):
    """A gateway that asks a pool's picker for the server of each request. A subclass does something wrong."""

    def __init__(self, scene: Scene, servers: Servers) -> None:
        super().__init__(scene)
        self.servers = servers
        self._body = ""

    def answer(self, asked: Asked) -> Said | None:
        self._body = asked.body
        return super().answer(asked)

    def pod_behind(self, reference: Manifest) -> tuple[Manifest | None, int]:
        """The server that the picker chooses; without one, nobody."""
        if reference.get("kind") != "InferencePool":
            return super().pod_behind(reference)
        pods = self.scene.cluster.list("v1", "Pod")
        servers = {each["metadata"]["name"]: each for each in pods if each["metadata"]["name"] in self.servers.told}
        if not self.picker_runs(pods):
            return self.without_a_picker(servers), _PORT
        return servers[self.pick(sorted(servers), str(msgspec.json.decode(self._body)["model"]))], _PORT

    def picker_runs(self, pods: list[Manifest]) -> bool:
        """Whether the picker is there."""
        return any(each["metadata"]["name"] == "picker" for each in pods)

    def without_a_picker(self, servers: dict[str, Manifest]) -> Manifest | None:
        """The server of a request while there is no picker."""
        return None

    def pick(self, names: list[str], model: str) -> str:
        """The server that holds a model, or else has the shortest queue."""
        told = self.servers.told
        return min(names, key=lambda name: (told[name][0] != model, told[name][1], name))


def pools(scene: Scene, gateway: type[Picking] = Picking, *, controller: Gateways | None = None) -> Servers:
    """Gateways that accept inference pools as backends."""
    scene.serve("inference")
    servers = Servers()
    gateways(scene, gateway(scene, servers), controller=controller)
    scene.nodes.programs.insert(0, servers.run)
    return servers
