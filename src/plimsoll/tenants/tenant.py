"""What a tenant is asked to be, checked before anything is written. Pure."""

from __future__ import annotations

import ipaddress
import re

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import FileError
from plimsoll.kubernetes.quantities import number

LABEL = "plimsoll.dev/tenant"
"""Names the tenant on each of its objects; nothing without it is changed or deleted."""
ASKED = "plimsoll.dev/tenant-asked"
"""The annotation of the namespace that has what was asked for, so that what stands can be compared with it."""
OBJECT = "plimsoll-tenant"
"""The name of what belongs to a tenant, in its namespace."""
PULL_SECRET = f"{OBJECT}-pull"
_NAME = re.compile(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?")
_LONGEST = 40
_KEPT = ("default", "plimsoll", "openshift")
_RESERVED = "kube-"
_PREFIX = re.compile(r"[A-Za-z0-9.-]+(:\d{1,5})?(/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*/?")
_WORD = re.compile(r"[^\x00-\x20\x7f-\xa0]{1,253}")


@decodable
class Tenant(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One tenant; its namespace has its name.

    `cpu` and `memory` are quantities and bound the sum of what its pods request, `pods` how many there are;
    `accelerators` counts those of each resource and device class of the cluster. `images` are the prefixes that its
    pods' images may have, any without one. `egress` are networks as CIDR or CIDR:PORT that its pods reach besides each
    other, `registry` says that they and its people reach the cluster's own registry, `pulls` that it has a pull secret.
    """

    name: str
    cpu: str = ""
    memory: str = ""
    pods: int | None = None
    accelerators: int = 0
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    queue: bool = False
    images: tuple[str, ...] = ()
    egress: tuple[str, ...] = ()
    registry: bool = False
    pulls: bool = False

    def encoded(self) -> str:
        """As the annotation of the namespace has it; the same tenant gives the same text."""
        return msgspec.json.encode(self, order="deterministic").decode()


def decoded(text: str) -> Tenant | None:
    """The tenant of an annotation; `None` for one that is missing or that somebody has spoilt."""
    try:
        found = msgspec.json.decode(text, type=Tenant)
        require_valid(found)
    except (*UNREADABLE, FileError):
        return None
    return found


class Reached(Struct, frozen=True, kw_only=True):
    """A network that pods reach, at one port or at all of them."""

    cidr: str
    port: int | None = None

    @property
    def without(self) -> tuple[str, ...]:
        """Parts of it that are left out: where clouds answer any pod with the credentials of its node."""
        network = ipaddress.ip_network(self.cidr)
        inner = [each for each in _METADATA if each.version == network.version]
        return tuple(str(each) for each in inner if each.subnet_of(network) and each != network)  # type: ignore[arg-type]  # of one version


_METADATA = (ipaddress.ip_network("169.254.0.0/16"), ipaddress.ip_network("fd00:ec2::254/128"))


def require_name(name: str) -> None:
    """Raise FileError for a name that no tenant can have."""
    if len(name) > _LONGEST:
        _refuse(
            f"a tenant cannot be named '{name[:60]}': it has {len(name)} characters, {_LONGEST} are allowed", "NAME"
        )
    if not _NAME.fullmatch(name):
        words = "it takes small letters, digits and '-', a letter first, a letter or digit last"
        _refuse(f"a tenant cannot be named {name!r}: {words}", "NAME", "name one such as team-a")
    if name in _KEPT or name.startswith(_RESERVED):
        _refuse(f"the namespace {name} belongs to the cluster itself", "NAME", "name one such as team-a")


def require_valid(tenant: Tenant) -> None:
    """Raise FileError for the first thing that no cluster could carry out."""
    require_name(tenant.name)
    for option, quantity in (("--cpu", tenant.cpu), ("--memory", tenant.memory)):
        if quantity and not _is_positive(quantity):
            _refuse(f"'{quantity}' is no quantity", option, "write it as Kubernetes does: 8, 500m, 64Gi")
    if tenant.accelerators < 0 or (tenant.pods is not None and tenant.pods < 1):
        _refuse("a tenant has at least one pod, and no less than no accelerator", "--pods, --accelerators")
    if tenant.queue and not (tenant.cpu and tenant.memory):
        _refuse("a queue admits by how much there is", "--queue", "say it with --cpu and --memory")
    for option, words in (("--user", tenant.users), ("--group", tenant.groups)):
        for each in words:
            if not _WORD.fullmatch(each):
                _refuse(f"{each!r} is no name of a user or group", option)
            if each.startswith("system:") and not each.startswith("system:serviceaccount"):
                hint = "name the tenant's own people"
                _refuse(f"'{each}' is everybody, or Kubernetes itself", option, hint)
    for prefix in tenant.images:
        if not _PREFIX.fullmatch(prefix):
            hint = "write HOST/PATH, without a tag, such as registry.example/team-a"
            _refuse(f"'{prefix}' is no prefix of images", "--images", hint)
    for each in tenant.egress:
        reached(each)


def reached(text: str) -> Reached:
    """A network of `--egress`. Raises FileError for what is none."""
    cidr, _, port = text.rpartition(":") if re.search(r"(\]|/\d{1,3}):\d+$", text) else (text, "", "")
    cidr = cidr.strip("[]")
    try:
        network = ipaddress.ip_network(cidr)
    except ValueError as error:
        hint = "a network policy knows addresses and no names: write 10.1.0.0/16, 10.1.2.3/32:443 or [fd00::/8]:443"
        raise FileError(f"'{text[:100]}' is no network: {error}", where="--egress", hint=hint) from None
    if port and not 1 <= int(port) <= 65535:
        _refuse(f"'{text}' has no port of 1 to 65535", "--egress")
    if any(network.version == each.version and network.subnet_of(each) for each in _METADATA):  # type: ignore[arg-type]  # of one version
        _refuse(f"{network} is where clouds give any pod the credentials of its node", "--egress", "leave it out")
    return Reached(cidr=str(network), port=int(port) if port else None)


def _is_positive(quantity: str) -> bool:
    if not re.fullmatch(r"\d{1,12}(\.\d{1,6})?([mkMGTPE]|[KMGTPE]i)?", quantity):
        return False
    return number(quantity) > 0


def _refuse(message: str, where: str, hint: str = "") -> None:
    raise FileError(message, where=where, hint=hint)
