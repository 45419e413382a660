"""Which proxy HTTPS_PROXY, HTTP_PROXY and NO_PROXY give a server: Go's rules, which kubectl has."""

from __future__ import annotations

import pytest

from plimsoll.errors import FileError
from plimsoll.kubernetes.kubeconfig.addresses import proxy_of_environment

SERVER = "https://api.example.com:6443"
PROXY = "http://proxy:3128"


@pytest.mark.parametrize(
    ("environment", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": PROXY}, PROXY),
        ({"https_proxy": PROXY}, PROXY),
        ({"HTTPS_PROXY": PROXY, "https_proxy": "http://other"}, PROXY),
        ({"HTTPS_PROXY": "proxy:3128"}, PROXY),
        ({"HTTPS_PROXY": "10.0.0.1:3128"}, "http://10.0.0.1:3128"),
        ({"HTTPS_PROXY": "socks5h://proxy"}, "socks5h://proxy"),
        ({"HTTP_PROXY": PROXY}, None),
        ({"ALL_PROXY": PROXY}, None),
        ({"HTTPS_PROXY": ""}, None),
    ],
)
def test_the_proxy_of_a_server_over_tls(environment: dict[str, str], proxy: str | None) -> None:
    assert proxy_of_environment(SERVER, environment) == proxy


@pytest.mark.parametrize(
    "exceptions",
    [
        "*",
        "api.example.com",
        "example.com",
        ".example.com",
        "*.example.com",
        "API.Example.Com",
        "other, example.com ,",
        "example.com:6443",
    ],
)
def test_a_server_of_no_proxy_is_reached_directly(exceptions: str) -> None:
    assert proxy_of_environment(SERVER, {"HTTPS_PROXY": PROXY, "NO_PROXY": exceptions}) is None
    assert proxy_of_environment(SERVER, {"HTTPS_PROXY": PROXY, "no_proxy": exceptions}) is None


@pytest.mark.parametrize(
    "exceptions", ["ample.com", ".api.example.com", "example.com:443", "10.0.0.0/8", ".", ",", "*."]
)
def test_another_server_of_no_proxy_changes_nothing(exceptions: str) -> None:
    assert proxy_of_environment(SERVER, {"HTTPS_PROXY": PROXY, "NO_PROXY": exceptions}) == PROXY


@pytest.mark.parametrize(
    ("server", "exceptions", "direct"),
    [
        ("https://10.1.2.3", "10.0.0.0/8", True),
        ("https://10.1.2.3", "10.1.2.3", True),
        ("https://10.1.2.3", "10.1.2.3:443", True),
        ("https://10.1.2.3:6443", "10.1.2.3:443", False),
        ("https://10.1.2.3", "11.0.0.0/8", False),
        ("https://10.1.2.3", "10.0.0.0/99", False),
        ("https://[fd00::1]", "fd00::/8", True),
        ("https://[fd00::1]", "fd00::1", True),
        ("https://[fd00::1]:6443", "[fd00::1]:6443", True),
    ],
)
def test_addresses_and_networks_of_no_proxy(server: str, exceptions: str, direct: bool) -> None:
    assert proxy_of_environment(server, {"HTTPS_PROXY": PROXY, "NO_PROXY": exceptions}) == (None if direct else PROXY)


@pytest.mark.parametrize("server", ["https://localhost:6443", "https://127.0.0.1:6443", "https://[::1]:6443"])
def test_this_machine_is_reached_directly(server: str) -> None:
    assert proxy_of_environment(server, {"HTTPS_PROXY": PROXY}) is None


def test_plain_http_has_a_proxy_of_its_own() -> None:
    assert proxy_of_environment("http://api", {"HTTP_PROXY": PROXY, "HTTPS_PROXY": "http://other"}) == PROXY
    # What a web server hands to a script under this name comes from the request.
    assert proxy_of_environment("http://api", {"HTTP_PROXY": PROXY, "REQUEST_METHOD": "GET"}) is None


@pytest.mark.parametrize("proxy", ["ftp://proxy", "http://pro xy", "http://proxy:port", "socks4://proxy"])
def test_a_proxy_that_cannot_be_used_is_refused_by_the_variables_name(proxy: str) -> None:
    with pytest.raises(FileError, match="cannot be used") as refused:
        proxy_of_environment(SERVER, {"HTTPS_PROXY": proxy})
    assert refused.value.where == "HTTPS_PROXY"
