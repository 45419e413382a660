"""A WebSocket over TLS that is let go of takes nothing from the files that are opened after it."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from httpx2.websockets import WebSocketClient, WebSocketSession

from plimsoll.kubernetes.websocket import StreamSession

GREETING = b"\x82\x05hello"


class Server:
    """Takes one WebSocket, and says nothing on it until it is told to."""

    def __init__(self, directory: Path) -> None:
        key, bundle = ec.generate_private_key(ec.SECP256R1()), directory / "server.pem"
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "server")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
            .sign(key, hashes.SHA256())
        )
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        bundle.write_bytes(private + certificate.public_bytes(Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(bundle)
        self.trust = ssl.create_default_context(cafile=str(bundle))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"https://127.0.0.1:{self.listener.getsockname()[1]}/"
        self.speak = threading.Event()
        self.thread = threading.Thread(target=self._serve, args=(context,), daemon=True)
        self.thread.start()

    def _serve(self, context: ssl.SSLContext) -> None:
        plain, _ = self.listener.accept()
        with context.wrap_socket(plain, server_side=True) as connection:
            request = connection.recv(4096).decode()
            key = re.search(r"(?i)sec-websocket-key: (\S+)", request)
            assert key
            digest = hashlib.sha1(f"{key[1]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
            accept = base64.b64encode(digest).decode()
            upgrade = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            connection.sendall(f"{upgrade}Sec-WebSocket-Accept: {accept}\r\n\r\n".encode())
            self.speak.wait(60)
            try:
                connection.sendall(GREETING)
            except OSError:
                return  # the other side has gone for good: what is wanted of it


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    found = Server(tmp_path)
    yield found
    found.speak.set()
    found.thread.join(10)
    found.listener.close()


def taken_from_the_next_file(server: Server, path: Path, session: type[WebSocketSession]) -> int:
    """Bytes that were read from a file which we opened and did not read, after the session had ended."""
    path.write_bytes(b"\x17\x03\x03" + bytes(5000))
    with (
        httpx2.Client(verify=server.trust) as client,
        WebSocketClient(client, session_class=session).connect(server.address) as stream,
    ):
        number = stream.stream.get_extra_info("socket").fileno()
        time.sleep(0.3)  # until it reads
    file = os.open(path, os.O_RDONLY)
    try:
        assert file == number, "the file did not get the socket's number: this test shows nothing"
        server.speak.set()
        server.thread.join(10)
        time.sleep(0.3)  # what is read wrongly is read by now
        return os.lseek(file, 0, os.SEEK_CUR)
    finally:
        os.close(file)


def test_a_file_that_is_opened_after_a_websocket_was_let_go_of_is_left_alone(server: Server, tmp_path: Path) -> None:
    assert taken_from_the_next_file(server, tmp_path / "next", StreamSession) == 0


def test_the_library_alone_reads_from_that_file(server: Server, tmp_path: Path) -> None:
    """The control. When this fails, the library is mended, and `StreamSession` can go."""
    assert taken_from_the_next_file(server, tmp_path / "next", WebSocketSession) > 0


def test_what_was_sent_before_arrives(server: Server) -> None:
    with (
        httpx2.Client(verify=server.trust) as client,
        WebSocketClient(client, session_class=StreamSession).connect(server.address) as stream,
    ):
        server.speak.set()
        assert stream.receive_bytes(timeout=5) == b"hello"


def ends_while_nobody_reads(server: Server, session: type[WebSocketSession], limit: float) -> bool:
    """Whether a session comes to its end in the midst of a write that the other side does not take, in so many seconds."""
    with httpx2.Client(verify=server.trust) as client:
        stream = WebSocketClient(client, session_class=session).connect(server.address)
        opened = stream.__enter__()

        def write() -> None:
            with contextlib.suppress(Exception):  # of two libraries: what it comes to is not what is asked here
                for _ in range(64):
                    opened.send_bytes(bytes(1 << 20))

        writer = threading.Thread(target=write, daemon=True)
        ending = threading.Thread(target=stream.__exit__, args=(None, None, None), daemon=True)
        writer.start()
        time.sleep(1)  # until nothing more goes into the network's buffers
        assert writer.is_alive(), "all was written: this test shows nothing"
        ending.start()
        ending.join(limit)
        writer.join(limit)
        ended = not ending.is_alive() and not writer.is_alive()
        server.speak.set()
        ending.join(10)
        return ended


@pytest.mark.slow
def test_a_session_ends_although_the_other_side_does_not_read(server: Server) -> None:
    assert ends_while_nobody_reads(server, StreamSession, 15)


@pytest.mark.slow
def test_the_librarys_session_waits_for_the_other_side(server: Server) -> None:
    """The control. When this fails, the library is mended."""
    assert not ends_while_nobody_reads(server, WebSocketSession, 2)
