"""No framework: workers that only need to know which of how many they are."""

from __future__ import annotations

from collections.abc import Mapping

from plimsoll.runtime.contracts.gang import Gang


class Plain:
    """A single worker sees nothing; several see their rank, by the names that most launchers use."""

    rendezvous_script = None
    launcher = False
    node_script = None

    def environment(self, rank: int, gang: Gang) -> Mapping[str, str]:
        """RANK and WORLD_SIZE, when there is more than one."""
        return {"RANK": str(rank), "WORLD_SIZE": str(gang.size)} if gang.size > 1 else {}

    def files(self, gang: Gang) -> Mapping[str, str]:
        """None."""
        return {}
