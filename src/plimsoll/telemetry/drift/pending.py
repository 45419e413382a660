"""Predictions that wait for their labels, by the id of their request. Memory is bounded, and shared out fairly.

An id belongs to the first request that used it until its labels have come: another request cannot take its place. Where
more predictions wait than the bound, the client that has most of them loses its own: its requests of many rows first,
and of those the oldest. Clients are told apart by their addresses, in a fixed number of groups.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

from msgspec import Struct

from plimsoll.runtime.tensors import Array

MOST = 100_000
OLDEST = 7 * 86_400.0
GROUPS = 256
"""Of clients. Which address is in which group is another for each process, so that nobody can choose a group."""
LOOKED_AT = 4096
"""Elements of an input by which two requests are told apart."""

Label = str | int | float


class LabelledPrediction(Struct, frozen=True, kw_only=True):
    """A prediction with its label. `late` is the delay of the label in seconds."""

    prediction: Label
    label: Label
    late: float


class _Request(Struct, eq=False):
    """What waits of one request: the predictions by row."""

    at: float
    group: int
    size: int
    """The number of binary digits of the number of rows that it began with."""
    print: int
    rows: dict[int, Label]


class PendingPredictions:
    """The newest `most` predictions for at most `oldest` seconds. Of several labels for one the first counts.

    `unmatched` are labels without a prediction, `forgotten` predictions that were pushed out or are too old, `reused`
    those of requests whose id belongs to another that waits.
    """

    def __init__(self, most: int = MOST, oldest: float = OLDEST) -> None:
        self.most, self.oldest = most, oldest
        self.unmatched = self.forgotten = self.reused = 0
        self._count = 0
        self._by_id: dict[str, _Request] = {}
        self._groups: list[dict[int, OrderedDict[str, _Request]]] = [{} for _ in range(GROUPS)]
        self._sizes = [0] * GROUPS

    def __len__(self) -> int:
        return self._count

    def has(self, identity: str, row: int) -> bool:
        """Whether a prediction waits."""
        found = self._by_id.get(identity)
        return found is not None and row in found.rows

    def taken(self, identity: str, inputs: Mapping[str, Array], at: float) -> bool:
        """Whether the id belongs to a waiting request with other inputs. `at` is in seconds since the epoch.

        Other threads may ask while one adds.
        """
        found = self._by_id.get(identity)
        return found is not None and at - found.at <= self.oldest and found.print != fingerprint(inputs)

    def add(
        self, identity: str, predictions: Sequence[Label], inputs: Mapping[str, Array], client: str, at: float
    ) -> None:
        """Add the predictions of a request, one for each row. `at` is in seconds since the epoch."""
        before = self._by_id.get(identity)
        if before is not None and at - before.at <= self.oldest:
            # The same request again, as clients send it that had no answer, has the same predictions.
            self.reused += len(predictions) if before.print != fingerprint(inputs) else 0
            return
        if before is not None:
            self._forget(identity, before)
        group = hash(_address(client)) % GROUPS
        rows = dict(enumerate(predictions[: self.most]))
        request = _Request(at, group, len(rows).bit_length(), fingerprint(inputs), rows)
        self.forgotten += len(predictions) - len(rows)
        self._by_id[identity] = request
        self._groups[group].setdefault(request.size, OrderedDict())[identity] = request
        self._sizes[group] += len(rows)
        self._count += len(rows)
        self._forget_old(group, at)
        while self._count > self.most:
            largest = max(range(GROUPS), key=self._sizes.__getitem__)
            self._forget(*_oldest(self._groups[largest][max(self._groups[largest])]))

    def join(self, identity: str, row: int, label: Label, at: float) -> LabelledPrediction | None:
        """Join a label with its prediction and remove the prediction. `None` without a prediction."""
        found = self._by_id.get(identity)
        if found is None or row not in found.rows or at - found.at > self.oldest:
            self.unmatched += 1
            return None
        prediction = found.rows.pop(row)
        self._sizes[found.group] -= 1
        self._count -= 1
        if not found.rows:
            self._remove(identity, found)
        return LabelledPrediction(prediction=prediction, label=label, late=max(0.0, at - found.at))

    def _forget_old(self, group: int, now: float) -> None:
        for size in list(self._groups[group]):
            while requests := self._groups[group].get(size):
                identity, request = _oldest(requests)
                if now - request.at <= self.oldest:
                    break
                self._forget(identity, request)

    def _forget(self, identity: str, request: _Request) -> None:
        self.forgotten += len(request.rows)
        self._sizes[request.group] -= len(request.rows)
        self._count -= len(request.rows)
        self._remove(identity, request)

    def _remove(self, identity: str, request: _Request) -> None:
        del self._by_id[identity]
        same_size = self._groups[request.group][request.size]
        del same_size[identity]
        if not same_size:
            del self._groups[request.group][request.size]


def _oldest(requests: OrderedDict[str, _Request]) -> tuple[str, _Request]:
    return next(iter(requests.items()))


def fingerprint(inputs: Mapping[str, Array]) -> int:
    """A number that tells requests apart, from the first elements of their inputs: cheap for a large request too."""
    parts: list[object] = []
    for name, array in inputs.items():
        first = array.reshape(-1)[:LOOKED_AT]
        parts += (name, array.shape, tuple(first.tolist()) if array.dtype.kind == "O" else first.tobytes())
    return hash(tuple(parts))


def _address(client: str) -> str:
    """The address without the port that gRPC writes after it; of IPv6 the network that one client has to itself."""
    if client.startswith(("ipv4:", "ipv6:")):
        client = client.partition(":")[2].rpartition(":")[0].removeprefix("[").removesuffix("]").replace("%5B", "")
    return ":".join(client.split(":")[:4])
