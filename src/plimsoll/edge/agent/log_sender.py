"""Sends the logs that wait, oldest first."""

from __future__ import annotations

from plimsoll.edge.agent.disk import AgentDisk, Identity
from plimsoll.edge.agent.spool import Spool, pack
from plimsoll.edge.documents import LOG, LogFile
from plimsoll.edge.envelopes import seal
from plimsoll.edge.place import EdgePlace, log_tag, logs_of
from plimsoll.files import digest_of_file
from plimsoll.registry.references import parse_reference

MOST_AT_ONCE = 20
"""Files of one sync: reports and states come through in between."""


class LogSender:
    """The device's logs on their way to its repository of logs."""

    def __init__(self, disk: AgentDisk, identity: Identity) -> None:
        self._disk = disk
        self._identity = identity
        self._place = EdgePlace(logs_of(parse_reference(identity.place), identity.device))
        self.spool = Spool(disk.root / "spool")

    @property
    def sent(self) -> int:
        """The newest file that was sent or dropped."""
        return min((each.number for each in self.spool.waiting()), default=self.spool.newest + 1) - 1

    @property
    def waiting(self) -> int:
        """Bytes that wait."""
        return sum(each.size for each in self.spool.waiting())

    def send(self) -> None:
        """Send what waits. Raises RegistryError; what was sent until then is sent."""
        identity = self._identity
        for each in self.spool.ready()[:MOST_AT_ONCE]:
            packed = self._disk.root / "packed.gz"
            pack(each.path, packed)
            about = LogFile(
                device=identity.device,
                number=each.number,
                service=each.service,
                log=each.log,
                digest=digest_of_file(packed),
            )
            name = f"{identity.group}/{identity.device}/log/{each.number}"
            self._place.write(log_tag(each.number), seal(name, LOG, about, self._disk.keys), packed)
            self.spool.sent(each)

    def close(self) -> None:
        """Close connections."""
        self._place.close()
