"""What connections are opened with, renewed when the files change; connections that are open go on."""

from __future__ import annotations

import asyncio
import ssl
import sys
from pathlib import Path
from typing import Any

from plimsoll.errors import TargetError
from plimsoll.runtime.server.identities.watched import Watched
from plimsoll.runtime.server.tls.material import Material, read_material
from plimsoll.runtime.server.tls.settings import TlsSettings

LOOK_EVERY = 1.0
"""Seconds between two looks at the files."""


class Handshake(ssl.SSLObject):
    """A handshake that leaves the alert of its failure in the exception: the event loop would drop it."""

    outgoing: ssl.MemoryBIO

    def do_handshake(self) -> None:
        """Raises SSLError, with `alert` for the client."""
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as problem:
            problem.alert = self.outgoing.read()  # type: ignore[attr-defined]
            raise


class _Context(ssl.SSLContext):
    sslobject_class = Handshake

    # Any: what follows is passed on as it is.
    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *args: Any, **words: Any) -> ssl.SSLObject:
        made = super().wrap_bio(incoming, outgoing, *args, **words)
        assert isinstance(made, Handshake)  # noqa: S101 - by `sslobject_class`
        made.outgoing = outgoing
        return made


class ServerTls:
    """The certificate of a server and the authorities of its clients, as their files were when last read whole."""

    def __init__(self, settings: TlsSettings) -> None:
        """Raises TargetError for files that cannot be used."""
        self._settings = settings
        paths = [Path(path) for path in (settings.key, settings.clients, settings.revoked) if path]
        self.context: ssl.SSLContext
        self.generation = 0
        """Grows with each change of a file."""
        self.trusted = 0
        """Grows with each change of the authorities: connections from before are not known by the new ones."""
        self._file: Watched[Material] = Watched(Path(settings.certificate), lambda _: self._read(), paths)

    @property
    def material(self) -> Material:
        """What the files say."""
        return self._file.content

    @property
    def knows_clients(self) -> bool:
        """Whether callers may show certificates."""
        return bool(self._settings.clients)

    def look(self) -> None:
        """Take files that have changed; what cannot be used leaves all as it was, and is told. Called in a thread."""
        before = self.material
        if self._file.look():
            self.generation += 1
            self.trusted += before.clients != self.material.clients
            sys.stderr.write("the certificates have changed, and new connections are opened with them\n")

    async def keep(self) -> None:
        """Look again and again, until it is cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            await asyncio.to_thread(self.look)

    def _read(self) -> Material:
        settings = self._settings
        clients = Path(settings.clients) if settings.clients else None
        revoked = Path(settings.revoked) if settings.revoked else None
        material = read_material(Path(settings.certificate), Path(settings.key), clients, revoked)
        self.context = _context(settings)
        return material


def _context(settings: TlsSettings) -> ssl.SSLContext:
    context = _Context(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])
    try:
        # The library would ask for a passphrase at the terminal.
        context.load_cert_chain(settings.certificate, settings.key, password=lambda: "")
        if settings.clients:
            # Optional, as probes of health have none; a request without one is refused where it asks for more.
            context.verify_mode = ssl.CERT_OPTIONAL
            context.load_verify_locations(cafile=settings.clients)
            # What the file names is trusted, also where it is no root.
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            # A session that is taken up again would be believed what its certificate was worth before.
            context.options |= ssl.OP_NO_TICKET
            context.num_tickets = 0
        if settings.revoked:
            context.load_verify_locations(cafile=settings.revoked)
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    except (ssl.SSLError, OSError) as problem:
        reason = getattr(problem, "reason", None) or problem.strerror or "it cannot be read"
        raise TargetError(f"a server cannot use the certificate: {reason}", where=settings.certificate) from problem
    return context
