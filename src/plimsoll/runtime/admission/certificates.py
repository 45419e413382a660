"""The certificate of the webhook: read again when its files change, so that it can be rotated without a restart."""

from __future__ import annotations

import ssl
import sys
import time
from pathlib import Path

from plimsoll.errors import PlimsollError, TargetError
from plimsoll.runtime.server.tls.material import read_material

LOOK_EVERY = 1.0
"""Seconds between two looks at the files."""


class Certificate:
    """A context whose new connections have the certificate that the files had when they were last read whole."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Raises TargetError for files that cannot be used."""
        self._certificate, self._key = certificate, key
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._seen: tuple[object, ...] = ()
        self.look()

    def look(self) -> bool:
        """Take files that have changed; says whether it did. Raises TargetError, and leaves all as it was."""
        try:
            seen = tuple((each.stat().st_mtime_ns, each.stat().st_ino) for each in (self._certificate, self._key))
        except OSError as error:
            raise TargetError(f"the certificate cannot be read: {error.strerror}", where=str(error.filename)) from error
        if seen == self._seen:
            return False
        self._seen = seen
        read_material(self._certificate, self._key, None, None)
        try:
            self.context.load_cert_chain(self._certificate, self._key, password=lambda: "")
        except (ssl.SSLError, OSError) as error:
            where = str(self._certificate)
            raise TargetError("a server cannot use the certificate", where=where) from error
        return True

    def keep(self) -> None:
        """Look again and again, for as long as the process lives."""
        while True:
            time.sleep(LOOK_EVERY)
            try:
                if self.look():
                    sys.stderr.write("the certificate has changed, and new connections are opened with it\n")
            except PlimsollError as error:
                sys.stderr.write(f"the certificate stays as it was: {error.on_one_line()}\n")
