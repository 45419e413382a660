"""Groups and agents in one process, over a real registry: what they tell each other, without services."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from plimsoll.edge.agent.agent import Agent
from plimsoll.edge.agent.disk import AgentDisk
from plimsoll.edge.labels import joined_labels
from plimsoll.edge.moving import Groups
from plimsoll.edge.owner import Owner
from plimsoll.edge.tokens import decode_token
from plimsoll.kinds.edge import Edge
from plimsoll.registry.models import ModelRegistry
from plimsoll.signing.keys import KeyRing

NO_MODELS = cast("ModelRegistry", None)


class Fleets:
    """The owner's side of several groups."""

    def __init__(self, directory: Path, place: str, selectors: Mapping[str, Mapping[str, str]], **edge: Any) -> None:
        self.directory = directory
        self.said: list[str] = []
        self.devices: list[Device] = []
        keys = KeyRing(directory / "keys")
        keys.signer()
        self.selectors = selectors
        self.owners = {
            name: Owner(
                directory / "state",
                name,
                Edge(services=("m",), registry=place, rollout=("100%",), hold="0s", **edge),
                keys,
                self.said.append,
            )
            for name in selectors
        }
        asked = {name: labels for name, labels in selectors.items() if labels}
        self.groups = Groups(list(selectors), asked, self.owners.__getitem__)

    def release(self, *names: str) -> None:
        """A release without services for groups."""
        for name in names:
            self.owners[name].release([], NO_MODELS)

    def device(self, group: str, name: str) -> Device:
        """A device that has joined."""
        labels = joined_labels(group, {}, self.selectors)
        token = decode_token(self.owners[group].enroll(name, labels))
        disk = AgentDisk(self.directory / name)
        disk.enrol(token)
        device = Device(disk)
        self.devices.append(device)
        device.agent.sync()
        assert name in self.owners[group].listen().devices
        return device

    def close(self) -> None:
        """Close connections."""
        for owner in self.owners.values():
            owner.close()
        for device in self.devices:
            device.agent.close()


class Device:
    """An agent that syncs when it is told to."""

    def __init__(self, disk: AgentDisk) -> None:
        self.disk = disk
        self.said: list[str] = []
        self.agent = self._started()

    def restart(self) -> None:
        """End, and start from the disk."""
        self.agent.close()
        self.agent = self._started()

    def _started(self) -> Agent:
        identity = self.disk.identity()
        assert identity is not None
        return Agent(self.disk, identity, self.said.append)
