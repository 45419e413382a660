"""How requests reach a cluster: certificates, names, proxies, and in whose name they are made."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from plimsoll.errors import FileError
from plimsoll.kubernetes.api import Api, ApiError
from plimsoll.kubernetes.memory import MemoryCluster
from plimsoll.kubernetes.port_forward import Forward
from tests.kubernetes.asking import config_map, pod
from tests.kubernetes.ways import Authority, Door, Pair, door, http_proxy, socks_proxy

VARIABLES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def server_pair(authority: Authority) -> Pair:
    return authority.issue("server", "127.0.0.1", "cluster.example")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def port_of(cluster: MemoryCluster) -> int:
    return int(cluster.url.rpartition(":")[2])


@pytest.fixture
def tls(cluster: MemoryCluster, authority: Authority, server_pair: Pair, tmp_path: Path) -> Iterator[Door]:
    cluster.put(config_map("first", {"k": "v"}, namespace="here"))
    with door(port_of(cluster), server_pair, tmp_path, authority) as found:
        yield found


Reach = Callable[..., Api]


@pytest.fixture
def reach(
    cluster: MemoryCluster, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Reach]:
    """An API by fields of a cluster and a user, in a kubeconfig of its own."""
    opened: list[Api] = []

    def made(to: dict[str, Any], by: dict[str, Any] | None = None) -> Api:
        fields = {"certificate-authority-data": base64.b64encode(authority.pem.encode()).decode(), **to}
        content = {
            "clusters": [{"name": "c", "cluster": {key: each for key, each in fields.items() if each is not None}}],
            "users": [{"name": "u", "user": by or {"token": cluster.token}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        }
        (tmp_path / "own").write_text(json.dumps(content))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "own"))
        opened.append(Api("x"))
        return opened[-1]

    yield made
    for each in opened:
        each.close()


def first(api: Api) -> object:
    return api.get("v1", "ConfigMap", "first", "here")["data"]


def test_a_certificate_is_checked_against_the_authority_of_the_kubeconfig(tls: Door, reach: Reach) -> None:
    assert first(reach({"server": f"https://127.0.0.1:{tls.port}"})) == {"k": "v"}


def test_a_certificate_of_another_authority_is_told_at_once(tls: Door, reach: Reach, cluster: MemoryCluster) -> None:
    other = base64.b64encode(Authority("other").pem.encode()).decode()
    api = reach({"server": f"https://127.0.0.1:{tls.port}", "certificate-authority-data": other})
    with pytest.raises(ApiError, match=r"certificate of .* is not accepted") as refused:
        first(api)
    assert "certificate-authority" in refused.value.hint
    assert not cluster.seen()


def test_without_an_authority_the_systems_own_count(tls: Door, reach: Reach) -> None:
    api = reach({"server": f"https://127.0.0.1:{tls.port}", "certificate-authority-data": None})
    with pytest.raises(ApiError, match="is not accepted"):
        first(api)


def test_a_certificate_is_not_checked_where_the_kubeconfig_says_so(tls: Door, reach: Reach) -> None:
    fields = {"certificate-authority-data": None, "insecure-skip-tls-verify": True}
    assert first(reach({"server": f"https://127.0.0.1:{tls.port}", **fields})) == {"k": "v"}


def test_a_server_is_known_by_the_name_that_the_kubeconfig_says(tls: Door, reach: Reach) -> None:
    api = reach({"server": f"https://127.0.0.1:{tls.port}", "tls-server-name": "cluster.example"})
    assert first(api) == {"k": "v"}
    assert set(tls.names) == {"cluster.example"}
    with pytest.raises(ApiError, match="is not accepted: Hostname mismatch"):
        first(reach({"server": f"https://127.0.0.1:{tls.port}", "tls-server-name": "another.example"}))


def test_the_certificate_of_the_server_itself_can_be_what_is_trusted(
    tls: Door, reach: Reach, server_pair: Pair
) -> None:
    pinned = base64.b64encode(f"Subject: Zürich\n{server_pair.chain}".encode()).decode()
    assert first(reach({"server": f"https://127.0.0.1:{tls.port}", "certificate-authority-data": pinned})) == {"k": "v"}


def test_a_client_shows_its_certificate(tls: Door, reach: Reach, authority: Authority, tmp_path: Path) -> None:
    pair = authority.issue("jane")
    (tmp_path / "jane.crt").write_text(pair.chain)
    (tmp_path / "jane.key").write_text(pair.key)
    by = {"client-certificate": "jane.crt", "client-key": "jane.key"}
    with pytest.raises(ApiError, match="forbidden"):
        reach({"server": f"https://127.0.0.1:{tls.port}"}, by).request("GET", "/metrics")
    assert tls.clients == ["jane"]


def test_data_comes_before_a_file(tls: Door, reach: Reach, authority: Authority) -> None:
    pair = authority.issue("data")
    data = {
        "client-certificate-data": base64.b64encode(pair.chain.encode()).decode(),
        "client-key-data": base64.b64encode(pair.key.encode()).decode(),
    }
    api = reach(
        {"server": f"https://127.0.0.1:{tls.port}"}, {**data, "client-certificate": "none", "client-key": "none"}
    )
    with pytest.raises(ApiError, match="forbidden"):
        api.request("GET", "/metrics")
    assert tls.clients == ["data"]


def test_a_key_that_is_not_the_certificates_is_told_with_its_place(
    tls: Door, reach: Reach, authority: Authority, tmp_path: Path
) -> None:
    by = {
        "client-certificate-data": base64.b64encode(authority.issue("a").chain.encode()).decode(),
        "client-key-data": base64.b64encode(authority.issue("b").key.encode()).decode(),
    }
    with pytest.raises(FileError, match="key values mismatch") as refused:
        reach({"server": f"https://127.0.0.1:{tls.port}"}, by)
    assert refused.value.where.startswith(f"{tmp_path / 'own'}:1:")


def test_a_key_with_a_password_is_refused_and_nobody_is_asked(tls: Door, reach: Reach, authority: Authority) -> None:
    pair = authority.issue("a")
    locked = pair.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY")
    by = {
        "client-certificate-data": base64.b64encode(pair.chain.encode()).decode(),
        "client-key-data": base64.b64encode(locked.encode()).decode(),
    }
    with pytest.raises(FileError, match="the key has a password"):
        reach({"server": f"https://127.0.0.1:{tls.port}"}, by)


def forwarded(api: Api, cluster: MemoryCluster) -> bytes:
    """What a pod's port says, through the API server and over a WebSocket."""
    cluster.put({**pod("one", node="node-1", namespace="here"), "status": {"phase": "Running"}})
    listener = socket.create_server(("127.0.0.1", 0))
    cluster.lead("here", "one", 80, int(listener.getsockname()[1]))

    def greet() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"hello")
            connection.recv(1)

    threading.Thread(target=greet, daemon=True).start()
    forward = Forward(api, "here", "one", 80)
    try:
        with socket.create_connection(("127.0.0.1", forward.port), 10) as connection:
            connection.settimeout(10)
            return connection.recv(5)
    finally:
        forward.close()
        listener.close()


def test_requests_and_websockets_go_through_the_proxy_of_the_cluster(
    tls: Door, reach: Reach, cluster: MemoryCluster
) -> None:
    with http_proxy(tls.port) as proxy:
        url = f"http://me:secret@127.0.0.1:{proxy.port}"
        api = reach({"server": "https://cluster.example:6443", "proxy-url": url})
        assert first(api) == {"k": "v"}
        assert forwarded(api, cluster) == b"hello"
    assert set(proxy.asked) == {"CONNECT cluster.example:6443 HTTP/1.1"}
    assert all(f"Basic {base64.b64encode(b'me:secret').decode()}" in head for head in proxy.heads)
    assert not any(cluster.token in head for head in proxy.heads)


def test_a_proxy_can_be_reached_over_tls(
    tls: Door, reach: Reach, cluster: MemoryCluster, server_pair: Pair, tmp_path: Path
) -> None:
    with http_proxy(tls.port) as proxy, door(proxy.port, server_pair, tmp_path) as outer:
        api = reach({"server": "https://cluster.example", "proxy-url": f"https://127.0.0.1:{outer.port}"})
        assert first(api) == {"k": "v"}
        assert forwarded(api, cluster) == b"hello"
    assert set(proxy.asked) == {"CONNECT cluster.example:443 HTTP/1.1"}


def test_a_proxy_can_speak_socks(tls: Door, reach: Reach, cluster: MemoryCluster) -> None:
    with socks_proxy(tls.port) as proxy:
        api = reach({"server": "https://cluster.example", "proxy-url": f"socks5://127.0.0.1:{proxy.port}"})
        assert first(api) == {"k": "v"}
        assert forwarded(api, cluster) == b"hello"
    # The proxy looks the name up: this machine may know nothing of it.
    assert set(proxy.asked) == {"cluster.example:443"}


def test_a_proxy_that_is_not_there_is_told_by_its_name_without_its_password(
    reach: Reach, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    api = reach({"server": "https://cluster.example", "proxy-url": "http://me:secret@127.0.0.1:9"})
    with pytest.raises(ApiError, match=r"through the proxy http://\*\*\*@127\.0\.0\.1:9") as refused:
        first(api)
    assert "secret" not in str(refused.value)


def test_a_proxy_that_refuses_is_told(tls: Door, reach: Reach, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    with http_proxy(tls.port, refuses=True) as proxy:
        api = reach({"server": "https://cluster.example", "proxy-url": f"http://127.0.0.1:{proxy.port}"})
        with pytest.raises(ApiError, match="407 Proxy Authentication Required"):
            first(api)


def test_the_environments_proxy_counts_where_the_cluster_has_none(
    tls: Door, reach: Reach, monkeypatch: pytest.MonkeyPatch
) -> None:
    with http_proxy(tls.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"127.0.0.1:{proxy.port}")
        assert first(reach({"server": "https://cluster.example"})) == {"k": "v"}
    assert proxy.asked == ["CONNECT cluster.example:443 HTTP/1.1"]


def test_the_clusters_proxy_comes_before_the_environments(
    tls: Door, reach: Reach, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "*")
    with http_proxy(tls.port) as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        assert first(reach({"server": "https://cluster.example", "proxy-url": url})) == {"k": "v"}
    assert proxy.asked


def test_whoever_acts_as_another_has_the_others_rights_alone(cluster: MemoryCluster, reach: Reach) -> None:
    cluster.put({**pod("one", node="node-1", namespace="here"), "status": {"phase": "Running"}})
    plain = {"server": cluster.url, "certificate-authority-data": None}
    api = reach(plain, {"token": cluster.token, "as": "nobody", "as-groups": ["a", "b"]})
    with pytest.raises(ApiError, match='User "nobody" cannot') as refused:
        api.request("GET", "/api/v1/namespaces/here/pods")
    assert refused.value.status == 403
    with pytest.raises(ApiError, match='User "nobody" cannot'), api.follow_logs("one", "here", "main"):
        pass
    with (
        pytest.raises(Exception, match="403"),
        api.websocket(  # its error is of the WebSocket library
            "/api/v1/namespaces/here/pods/one/portforward", "v4.channel.k8s.io", {"ports": "80"}
        ),
    ):
        pass
    assert {each.user for each in cluster.seen()} == {"nobody"}


def test_all_that_is_said_of_another_is_sent(
    cluster: MemoryCluster, reach: Reach, monkeypatch: pytest.MonkeyPatch
) -> None:
    import httpx2

    sent: list[httpx2.Headers] = []
    real = httpx2.HTTPTransport.handle_request

    def noted(self: httpx2.HTTPTransport, request: httpx2.Request) -> httpx2.Response:
        sent.append(request.headers)
        return real(self, request)

    monkeypatch.setattr(httpx2.HTTPTransport, "handle_request", noted)
    by = {
        "token": cluster.token,
        "as": "jäne",
        "as-uid": "7",
        "as-groups": ["dev", "a,b"],
        "as-user-extra": {"acme.com/projects%": ["one", "two"], "reason": ["lent"]},
    }
    fields = {"server": cluster.url, "certificate-authority-data": None, "disable-compression": True}
    reach(fields, by).request("GET", "/version")
    raw = [(name.decode(), value.decode()) for name, value in sent[0].raw if name.lower().startswith(b"impersonate")]
    assert raw == [
        ("Impersonate-User", "jäne"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Group", "dev"),
        ("Impersonate-Group", "a,b"),
        ("Impersonate-Extra-acme.com%2Fprojects%25", "one"),
        ("Impersonate-Extra-acme.com%2Fprojects%25", "two"),
        ("Impersonate-Extra-reason", "lent"),
    ]
    assert sent[0]["Accept-Encoding"] == "identity"


def test_a_server_can_lie_below_a_path(cluster: MemoryCluster, reach: Reach) -> None:
    api = reach({"server": f"{cluster.url}/api", "certificate-authority-data": None})
    assert api.request("GET", "/v1")["kind"] == "APIResourceList"
    assert [each.path for each in cluster.seen()] == ["/api/v1"]


def test_a_users_password_is_sent(cluster: MemoryCluster, reach: Reach) -> None:
    pair = base64.b64encode(b"me:secret").decode()
    cluster._serving.users[f"Basic {pair}"] = cluster._serving.users[cluster.token]
    api = reach({"server": cluster.url, "certificate-authority-data": None}, {"username": "me", "password": "secret"})
    assert api.request("GET", "/apis")["kind"] == "APIGroupList"


def test_a_token_in_a_file_is_read_again_when_it_is_refused(
    cluster: MemoryCluster, reach: Reach, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("old\n")
    plain = {"server": cluster.url, "certificate-authority-data": None}
    api = reach(plain, {"tokenFile": "token", "token": "older"})
    with pytest.raises(ApiError, match="Unauthorized"):
        api.request("GET", "/version")
    (tmp_path / "token").write_text(f"{cluster.token}\n")
    assert api.request("GET", "/version")["gitVersion"]
    # One that cannot be read for a moment leaves the last one in use.
    (tmp_path / "token").unlink()
    assert api.request("GET", "/version")["gitVersion"]


def test_a_token_file_without_a_token_is_told(cluster: MemoryCluster, reach: Reach, tmp_path: Path) -> None:
    plain = {"server": cluster.url, "certificate-authority-data": None}
    with pytest.raises(ApiError, match="there is no token in this file") as refused:
        reach(plain, {"tokenFile": "token"}).request("GET", "/version")
    assert (refused.value.where, refused.value.status) == (str(tmp_path / "token"), 401)
    assert not cluster.seen()


def test_credentials_that_somebody_has_renewed_in_the_kubeconfig_are_used(
    cluster: MemoryCluster, reach: Reach, tmp_path: Path
) -> None:
    api = reach({"server": cluster.url, "certificate-authority-data": None}, {"token": "old"})
    with pytest.raises(ApiError, match="Unauthorized"):
        api.request("GET", "/version")
    text = (tmp_path / "own").read_text()
    (tmp_path / "own").write_text("{")
    with pytest.raises(ApiError, match="Unauthorized"):
        api.request("GET", "/version")
    (tmp_path / "own").write_text(text.replace('"old"', f'"{cluster.token}"'))
    assert api.request("GET", "/version")["gitVersion"]


def test_renewed_credentials_of_another_cluster_are_not_sent_to_this_one(
    cluster: MemoryCluster, reach: Reach, tmp_path: Path
) -> None:
    api = reach({"server": cluster.url, "certificate-authority-data": None}, {"token": "old"})
    text = (tmp_path / "own").read_text()
    other = text.replace('"old"', f'"{cluster.token}"').replace(cluster.url, "http://other.example")
    (tmp_path / "own").write_text(other)
    with pytest.raises(ApiError, match="Unauthorized"):
        api.request("GET", "/version")
