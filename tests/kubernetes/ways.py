"""Ways to an API server: certificates, a door that speaks TLS, and proxies that note where they were asked to go."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


class Pair(NamedTuple):
    """A certificate and its key, as PEM."""

    chain: str
    key: str


class Authority:
    """Issues certificates for servers and for clients."""

    def __init__(self, name: str = "authority") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        basic = x509.BasicConstraints(ca=True, path_length=None)
        self._certificate = _certificate(self._name, self._name, self._key, self._key, (basic, True))
        self.pem = self._certificate.public_bytes(Encoding.PEM).decode()

    def issue(self, name: str, *hosts: str) -> Pair:
        """A certificate for a client, or for a server of these hosts."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = x509.SubjectAlternativeName([_host(each) for each in hosts or (name,)])
        found = _certificate(_named(name), self._name, key, self._key, (alternatives, False))
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return Pair(found.public_bytes(Encoding.PEM).decode(), private.decode())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    by: ec.EllipticCurvePrivateKey,
    extension: tuple[x509.ExtensionType, bool],
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
    return builder.add_extension(extension[0], critical=extension[1]).sign(by, hashes.SHA256())


class Relay:
    """Listens on a port of its own, and has a function say where each connection leads."""

    def __init__(self, welcome: Callable[[socket.socket], tuple[socket.socket, int]]) -> None:
        self._welcome = welcome
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._carry, args=(self._listener.accept()[0],), daemon=True).start()

    def _carry(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, ValueError, IndexError):
            near, port = self._welcome(connection)
            with near, socket.create_connection(("127.0.0.1", port)) as far:
                back = threading.Thread(target=_copy, args=(far, near), daemon=True)
                back.start()
                _copy(near, far)
                back.join(5)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(1 << 16):
            target.sendall(piece)
    for each in (source, target):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


class Door(NamedTuple):
    """TLS before a plain server: `names` are those that clients asked for, `clients` those they showed."""

    port: int
    names: list[str]
    clients: list[str]


@contextlib.contextmanager
def door(to: int, shown: Pair, directory: Path, clients_of: Authority | None = None) -> Iterator[Door]:
    """A door to a port of this machine."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    files = directory / f"{os.urandom(4).hex()}.pem"
    files.write_text(shown.key + shown.chain)
    context.load_cert_chain(files)
    names: list[str] = []
    clients: list[str] = []
    context.sni_callback = lambda _, name, __: names.append(name or "")
    if clients_of is not None:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(cadata=clients_of.pem)

    def welcome(connection: socket.socket) -> tuple[socket.socket, int]:
        found = context.wrap_socket(connection, server_side=True)
        if shown_back := found.getpeercert(binary_form=True):
            names_of = x509.load_der_x509_certificate(shown_back).subject
            clients.extend(str(each.value) for each in names_of)
        return found, to

    relay = Relay(welcome)
    try:
        yield Door(relay.port, names, clients)
    finally:
        relay.close()


class Proxy(NamedTuple):
    """A proxy: `asked` has the lines or addresses by which it was asked, `heads` all that came with them."""

    port: int
    asked: list[str]
    heads: list[str]


@contextlib.contextmanager
def http_proxy(to: int, *, refuses: bool = False) -> Iterator[Proxy]:
    """A proxy that takes CONNECT, and leads everything to one port."""
    asked: list[str] = []
    heads: list[str] = []

    def welcome(connection: socket.socket) -> tuple[socket.socket, int]:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1)
        heads.append(head.decode())
        asked.append(heads[-1].splitlines()[0])
        if refuses:
            connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            raise OSError
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        return connection, to

    relay = Relay(welcome)
    try:
        yield Proxy(relay.port, asked, heads)
    finally:
        relay.close()


@contextlib.contextmanager
def socks_proxy(to: int) -> Iterator[Proxy]:
    """A proxy of SOCKS 5 without authentication, which leads everything to one port."""
    asked: list[str] = []

    def welcome(connection: socket.socket) -> tuple[socket.socket, int]:
        connection.recv(1)
        connection.recv(connection.recv(1)[0])
        connection.sendall(b"\x05\x00")
        kind = connection.recv(4)[3]
        length = {1: 4, 4: 16}.get(kind) or connection.recv(1)[0]
        address = connection.recv(length)
        port = int.from_bytes(connection.recv(2), "big")
        asked.append(f"{address.decode() if kind == 3 else ip_address(address)}:{port}")
        connection.sendall(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
        return connection, to

    relay = Relay(welcome)
    try:
        yield Proxy(relay.port, asked, [])
    finally:
        relay.close()
