"""All that a connection to a cluster needs, read from a kubeconfig and checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

InteractiveMode = Literal["Never", "IfAvailable", "Always"]


class Certificate(Struct, frozen=True, kw_only=True):
    """A client's certificate and its key as PEM; `where` says where they come from."""

    chain: str
    key: str
    where: str


class Impersonation(Struct, frozen=True, kw_only=True):
    """Whom the requests are made as, in place of the user that the credentials show."""

    user: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = {}


class Plugin(Struct, frozen=True, kw_only=True):
    """A program that gives credentials (KEP-541). `cluster` is what it is told of the cluster, if it is told of it."""

    command: str
    args: tuple[str, ...] = ()
    environment: Mapping[str, str] = {}
    api_version: str
    interactive: InteractiveMode
    install_hint: str = ""
    cluster: Mapping[str, object] | None = None
    user: str
    where: str


class Access(Struct, frozen=True, kw_only=True):
    """A cluster and a user. `proxy` is None where requests go directly; `authorities` None where the system's count.

    `namespace` is empty where the context names none. `where` is the place of the context, and `authorities_where`
    that of what the cluster's certificate is checked against.
    """

    context: str
    cluster: str
    user: str = ""
    server: str
    namespace: str = ""
    tls_server_name: str = ""
    insecure: bool = False
    authorities: str | None = None
    proxy: str | None = None
    compression: bool = True
    certificate: Certificate | None = None
    token: str = ""
    token_file: str = ""
    username: str = ""
    password: str = ""
    plugin: Plugin | None = None
    impersonation: Impersonation | None = None
    where: str = ""
    authorities_where: str = ""
