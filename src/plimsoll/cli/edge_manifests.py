"""A device as objects of a cluster, for `plimsoll edge enroll --manifests`."""

from __future__ import annotations

import re

import click
from msgspec import Struct

from plimsoll.cli.edge_groups import EdgeGroups
from plimsoll.cli.terminal import one_line
from plimsoll.errors import FileError

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_NODE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_SIZE = re.compile(r"[1-9][0-9]{0,6}(Mi|Gi|Ti|M|G|T)")
_LOOPBACK = ("127.", "localhost", "::1")
_LONGEST_DEVICE = 58
"""Characters of a device's name: with `edge-` before it, it names a Service."""


class Placed(Struct, frozen=True, kw_only=True):
    """Where the objects are to be, and what they run."""

    image: str
    namespace: str
    node: str
    storage: str
    storage_class: str

    def check(self, device: str) -> None:
        """Raise FileError for what no cluster takes."""
        if not self.image or any(each.isspace() for each in self.image):
            hint = "name an image with Python and plimsoll[serve] (plimsoll[edge] for sensors): --image HOST/NAME:TAG"
            raise FileError("a Deployment needs an image", where="--image", hint=hint)
        if not _NAME.fullmatch(self.namespace):
            raise FileError(f"'{self.namespace[:80]}' is no namespace", where="--namespace", hint="see kubectl get ns")
        if self.node and not _NODE.fullmatch(self.node):
            raise FileError(f"'{self.node[:80]}' is no node", where="--node", hint="see kubectl get nodes")
        if self.storage_class and not _NODE.fullmatch(self.storage_class):
            hint = "see kubectl get storageclass"
            raise FileError(f"'{self.storage_class[:80]}' is no storage class", where="--storage-class", hint=hint)
        if not _SIZE.fullmatch(self.storage):
            raise FileError(f"'{self.storage[:80]}' is no size of a disk", where="--storage", hint="write 2Gi")
        if len(device) > _LONGEST_DEVICE:
            text = f"the name of the device has more than {_LONGEST_DEVICE} characters"
            raise FileError(text, hint="objects of a cluster are called edge-DEVICE; choose a shorter name")


def print_manifests(groups: EdgeGroups, group: str, device: str, token: str, placed: Placed) -> None:
    """Print the objects as YAML, and say which services nobody else in the cluster can ask."""
    import yaml

    from plimsoll.edge.manifests import AgentInCluster, agent_objects

    open_, closed = {}, []
    for name, service in groups.services(group).items():
        if service.port is not None and not service.host.startswith(_LOOPBACK):
            open_[name] = service.port
        else:
            closed.append(name)
    agent = AgentInCluster(
        group=group,
        device=device,
        namespace=placed.namespace,
        image=placed.image,
        token=token,
        storage=placed.storage,
        storage_class=placed.storage_class,
        node=placed.node,
        ports=open_,
    )
    click.echo(yaml.safe_dump_all(agent_objects(agent), sort_keys=False, width=120), nl=False)
    if closed:
        hint = "give it `port`, `host: 0.0.0.0` and `auth: none` for others in the cluster"
        click.echo(one_line(f"{', '.join(closed)}: asked inside the pod alone, and by MQTT; {hint}"), err=True)
