"""The fields of a kubeconfig as they stand in the file. Source: client-go, tools/clientcmd/api/v1/types.go.

Every field may be left out or be `null`, which mean the same.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from plimsoll.decoding import decodable


@decodable
class Extension(Struct, frozen=True):
    """Something under a name that other programs keep in the file."""

    name: str | None = None
    extension: object = None


class Cluster(Struct, frozen=True, rename="kebab"):
    """How a cluster is reached."""

    server: str | None = None
    tls_server_name: str | None = None
    insecure_skip_tls_verify: bool | None = None
    certificate_authority: str | None = None
    certificate_authority_data: str | None = None
    proxy_url: str | None = None
    disable_compression: bool | None = None
    extensions: list[Extension | None] | None = None


class Variable(Struct, frozen=True):
    """A variable of a plugin's environment."""

    name: str | None = None
    value: str | None = None


class Exec(Struct, frozen=True, rename="camel"):
    """A program that gives credentials."""

    command: str | None = None
    args: list[str | None] | None = None
    env: list[Variable | None] | None = None
    api_version: str | None = None
    install_hint: str | None = None
    provide_cluster_info: bool | None = None
    interactive_mode: str | None = None


class AuthProvider(Struct, frozen=True):
    """What came before exec plugins."""

    name: str | None = None
    config: object = None


class User(Struct, frozen=True, rename="kebab"):
    """Who asks, and how they show it."""

    client_certificate: str | None = None
    client_certificate_data: str | None = None
    client_key: str | None = None
    client_key_data: str | None = None
    token: str | None = None
    token_file: str | None = field(default=None, name="tokenFile")
    impersonate: str | None = field(default=None, name="as")
    as_uid: str | None = None
    as_groups: list[str | None] | None = None
    as_user_extra: Mapping[str, list[str | None] | None] | None = None
    username: str | None = None
    password: str | None = None
    auth_provider: AuthProvider | None = None
    exec: Exec | None = None
    extensions: list[Extension | None] | None = None


class Context(Struct, frozen=True):
    """A cluster and a user together."""

    cluster: str | None = None
    user: str | None = None
    namespace: str | None = None
    extensions: list[Extension | None] | None = None


class NamedCluster(Struct, frozen=True):
    """An entry of `clusters`."""

    name: str | None = None
    cluster: Cluster | None = None


class NamedUser(Struct, frozen=True):
    """An entry of `users`."""

    name: str | None = None
    user: User | None = None


class NamedContext(Struct, frozen=True):
    """An entry of `contexts`."""

    name: str | None = None
    context: Context | None = None


@decodable
class Kubeconfig(Struct, frozen=True):
    """A file. Fields that say nothing about a connection, such as `preferences`, are left out."""

    api_version: str | None = field(default=None, name="apiVersion")
    kind: str | None = None
    clusters: list[NamedCluster | None] | None = None
    users: list[NamedUser | None] | None = None
    contexts: list[NamedContext | None] | None = None
    current_context: str | None = field(default=None, name="current-context")
