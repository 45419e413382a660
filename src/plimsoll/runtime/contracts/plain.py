"""No framework: workers need only their rank and the number of workers."""

from __future__ import annotations

from collections.abc import Mapping

from plimsoll.runtime.contracts.gang import Gang


class Plain:
    """Several workers get RANK and WORLD_SIZE, the names that most launchers use. A single worker gets no variables."""

    rendezvous_script = None
    launcher = False
    node_script = None
    agent_script = None

    def environment(self, rank: int, gang: Gang) -> Mapping[str, str]:
        """RANK and WORLD_SIZE, when there is more than one worker."""
        return {"RANK": str(rank), "WORLD_SIZE": str(gang.size)} if gang.size > 1 else {}

    def files(self, gang: Gang) -> Mapping[str, str]:
        """No files."""
        return {}
