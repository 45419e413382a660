"""The address of a server, and the proxy by which it is reached. Pure.

Sources: client-go, rest/url_utils.go and tools/clientcmd/helpers.go; Go, golang.org/x/net/http/httpproxy.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from plimsoll.errors import FileError
from plimsoll.kubernetes.kubeconfig.fields import Cluster
from plimsoll.kubernetes.kubeconfig.merging import Entry

PROXIES = ("http", "https", "socks5")
_ENVIRONMENT_PROXIES = (*PROXIES, "socks5h")


def server_address(cluster: Entry[Cluster], *, secure: bool) -> str:
    """The URL of a cluster's server; one without a scheme is `https` where there is something to check or to show."""
    given = cluster.value.server or ""
    where = cluster.where("server")
    if not given:
        raise FileError(f"the cluster '{cluster.name}' names no server", where=where, hint="add server: https://…")
    bare = "://" not in given
    url = f"{'https' if secure else 'http'}://{given}" if bare else given
    found = _split(url)
    if found is None or found.scheme not in ("http", "https"):
        told = f"the server '{masked(given)}' of the cluster '{cluster.name}' is no address"
        raise FileError(told, where=where, hint="write it as https://HOST:PORT")
    if bare and found.path not in ("", "/"):
        told = f"the server '{given}' of the cluster '{cluster.name}' has a path and no scheme"
        raise FileError(told, where=where, hint=f"write https://{given}")
    if found.query or found.fragment:
        told = f"the server '{masked(given)}' of the cluster '{cluster.name}' has a query or a fragment"
        raise FileError(told, where=where, hint="write it as https://HOST:PORT")
    return url


def proxy_of_cluster(cluster: Entry[Cluster]) -> str | None:
    """The `proxy-url` of a cluster; `None` where it has none. Raises FileError for one that cannot be used."""
    given = cluster.value.proxy_url
    if not given:
        return None
    found = _split(given)
    if found is None or found.scheme not in PROXIES:
        told = f"the proxy-url '{masked(given)}' of the cluster '{cluster.name}' cannot be used"
        raise FileError(told, where=cluster.where("proxy-url"), hint="write http://, https:// or socks5://HOST:PORT")
    return given


def proxy_of_environment(server: str, environment: Mapping[str, str]) -> str | None:
    """The proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY give a server. Raises FileError for one that is none."""
    found = urlsplit(server)
    variable = "HTTPS_PROXY" if found.scheme == "https" else "HTTP_PROXY"
    given = _either(environment, variable)
    if not given or (variable == "HTTP_PROXY" and environment.get("REQUEST_METHOD")):
        return None
    host, port = (found.hostname or "").lower(), str(found.port or (443 if found.scheme == "https" else 80))
    if _stays_here(host) or _excepted(host, port, _either(environment, "NO_PROXY")):
        return None
    proxy = given if "://" in given else f"http://{given}"
    parsed = _split(proxy)
    if parsed is None or parsed.scheme not in _ENVIRONMENT_PROXIES:
        hint = "write http://, https:// or socks5://HOST:PORT, or name the server in NO_PROXY"
        raise FileError(f"the proxy '{masked(given)}' cannot be used", where=variable, hint=hint)
    return proxy


def _either(environment: Mapping[str, str], variable: str) -> str:
    return environment.get(variable) or environment.get(variable.lower()) or ""


def _stays_here(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _excepted(host: str, port: str, exceptions: str) -> bool:
    for each in (part.strip().lower() for part in exceptions.split(",")):
        if each == "*" or (each and _matches(host, port, each)):
            return True
    return False


def _matches(host: str, port: str, exception: str) -> bool:
    address = _address(host)
    if "/" in exception:
        try:
            return address is not None and address in ipaddress.ip_network(exception, strict=False)
        except ValueError:
            return False
    name, wanted = exception, ""
    if _address(name) is None and ":" in name:
        name, _, wanted = name.rpartition(":")
    name = name.strip("[]")
    if wanted and wanted != port:
        return False
    if (excepted := _address(name)) is not None:
        return address == excepted
    name = name.removeprefix("*")
    suffix = name if name.startswith(".") else f".{name}"
    return len(suffix) > 1 and (host.endswith(suffix) or host == name)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def _split(url: str) -> SplitResult | None:
    """A URL in its parts; `None` for one without a scheme or a host, or with a port that is none."""
    if any(character.isspace() or not character.isprintable() for character in url):
        return None
    try:
        found = urlsplit(url)
        _ = found.port
    except ValueError:
        return None
    return found if found.scheme and found.hostname else None


def masked(url: str) -> str:
    """A URL for a message, without the password in it."""
    before, at, after = url.rpartition("@")
    if not at:
        return url
    scheme, separator, _ = before.partition("://")
    return f"{scheme}{separator}***@{after}" if separator else f"***@{after}"
