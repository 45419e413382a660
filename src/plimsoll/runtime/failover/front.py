"""What answers before the standby: its own pages by itself, all other requests from the other target."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

from plimsoll.runtime.activator.forwarding import LIVE, METRICS, READY, Below, Forwarder
from plimsoll.runtime.activator.load import LoadAverage
from plimsoll.runtime.activator.servers import ServerPool
from plimsoll.runtime.failover.moving import Mover
from plimsoll.runtime.server.heads import Head
from plimsoll.runtime.server.identities.callers import Shown
from plimsoll.runtime.server.responses import Buffer, Reply, error, json_response

LOOKS = "/plimsoll/failover"
_UNSEEN = "nobody has looked yet"


class Front(Forwarder):
    """Forwards requests to the standby, and says what its mover has seen."""

    metrics = "plimsoll_failover_"

    def __init__(
        self, servers: ServerPool, load: LoadAverage, mover: Mover, *, largest_body: int, most: int, below: Below
    ) -> None:
        super().__init__(servers, load, largest_body=largest_body, most=most, below=below)
        self._mover = mover
        leads = Gauge(f"{self.metrics}leads", "1 while requests go to the standby", registry=self._registry)
        leads.set_function(lambda: float(mover.judge.leads))
        ready = Gauge(f"{self.metrics}ready", "1 while a side is ready", ["side"], registry=self._registry)
        ready.labels("own").set_function(lambda: float(mover.sides is not None and not mover.sides.own))
        ready.labels("standby").set_function(lambda: float(mover.sides is not None and not mover.sides.standby))
        moves = Counter(f"{self.metrics}moves", "Moves of the requests to the other side", registry=self._registry)
        mover.on_move = moves.inc

    def respond(self, head: Head, body: Buffer, client: str, shown: Shown | None = None) -> Reply:
        """Answer one request."""
        path = head.path.rstrip("/")
        if head.method in ("GET", "HEAD") and path in (LIVE, READY, LOOKS, METRICS):
            sides = self._mover.sides
            standby = sides.standby if sides is not None else _UNSEEN
            if path == LOOKS:
                judge = self._mover.judge
                own = sides.own if sides is not None else _UNSEEN
                return json_response({"own": own, "standby": standby, "leads": judge.leads, "why": judge.why})
            if path == READY and standby:
                # A gateway that looks itself must not take this process for the standby.
                return error(503, f"the standby is not ready: {standby}")
        return super().respond(head, body, client, shown)
