"""What containers have printed: written by a test or a controller, read as the subresource `log` gives it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping

from plimsoll.kubernetes.memory.refusals import Manifest, bad_request
from plimsoll.kubernetes.memory.values import moment, now_exactly

_FOLLOW_LIMIT = 3600.0


class Log:
    """The output of one container. Can be used from several threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._lines: list[tuple[str, str]] = []
        self._written = 0
        self._ended = False
        self._rotations = 0
        self._remnant = b""
        self.previous: Log | None = None

    def write(self, text: str, at: str = "") -> None:
        """Print whole lines; `at` is their time, by default now."""
        time_of = at or now_exactly()
        with self._changed:
            fresh = [(time_of, f"{line}\n") for line in text.splitlines()]
            self._lines += fresh
            self._written += len(fresh)
            self._changed.notify_all()

    def rotate(self, remnant: str = "") -> None:
        """Begin a new file, as a kubelet does with one that is too long: what stood in the old one is not given again.

        Whoever follows goes on without a gap; with a `remnant` the kubelet fails at that, and its words end the stream.
        """
        with self._changed:
            self._lines = []
            if remnant:
                self._rotations += 1
                self._remnant = remnant.encode()
            self._changed.notify_all()

    def end(self) -> None:
        """Print no more: whoever follows comes to the end."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def read(self, parameters: Mapping[str, str]) -> Iterator[bytes]:
        """Pieces of it: all that there is, and with `follow` what comes after. Raises StatusError (400)."""
        with self._changed:
            found = _chosen(list(self._lines), parameters)
            return self._pieces(parameters, found, self._written, self._rotations)

    def _pieces(
        self, parameters: Mapping[str, str], found: list[tuple[str, str]], done: int, rotations: int
    ) -> Iterator[bytes]:
        stamped = parameters.get("timestamps") == "true"
        text = "".join(f"{at} {line}" if stamped else line for at, line in found).encode()
        limit = parameters.get("limitBytes")
        yield text[: int(limit)] if limit else text
        while parameters.get("follow") == "true":
            with self._changed:
                end = time.monotonic() + _FOLLOW_LIMIT
                while self._has_nothing_after(done, rotations) and time.monotonic() < end:
                    self._changed.wait(_FOLLOW_LIMIT)
                if self._rotations != rotations:
                    yield self._remnant
                    return
                fresh = self._lines[max(0, len(self._lines) - (self._written - done)) :]
                done = self._written
            if not fresh:
                return
            yield "".join(f"{at} {line}" if stamped else line for at, line in fresh).encode()

    def _has_nothing_after(self, done: int, rotations: int) -> bool:
        return self._written == done and self._rotations == rotations and not self._ended


def _chosen(lines: list[tuple[str, str]], parameters: Mapping[str, str]) -> list[tuple[str, str]]:
    if since := parameters.get("sinceTime"):
        try:
            # The API keeps times to the second, whatever it is given.
            first = moment(since).replace(microsecond=0)
        except ValueError as error:
            raise bad_request(f"sinceTime: Invalid value: {since!r}") from error
        lines = [(at, line) for at, line in lines if moment(at) >= first]
    if tail := parameters.get("tailLines"):
        count = int(tail)
        lines = lines[-count:] if count else []
    return lines


class Logs:
    """The logs of a cluster by pod and container."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._logs: dict[tuple[str, str, str], Log] = {}

    def of(self, namespace: str, pod: str, container: str) -> Log:
        """The log of a container, empty at first."""
        with self._lock:
            return self._logs.setdefault((namespace, pod, container), Log())

    def restart(self, namespace: str, pod: str, container: str) -> Log:
        """A new log for a container that starts again; the one before is then its previous."""
        with self._lock:
            fresh = Log()
            fresh.previous = self._logs.get((namespace, pod, container))
            self._logs[namespace, pod, container] = fresh
        if fresh.previous is not None:
            fresh.previous.end()
        return fresh

    def forget(self, namespace: str, pod: str) -> None:
        """End and forget the logs of a pod."""
        with self._lock:
            gone = [key for key in self._logs if key[:2] == (namespace, pod)]
            ended = [self._logs.pop(key) for key in gone]
        for each in ended:
            each.end()

    def close(self) -> None:
        """End all logs."""
        with self._lock:
            found = list(self._logs.values())
        for each in found:
            each.end()

    def answer(self, pod: Manifest, parameters: Mapping[str, str]) -> Iterator[bytes]:
        """What the subresource gives for a pod that a node has. Raises StatusError (400)."""
        metadata = pod["metadata"]
        container = container_of(pod, parameters.get("container", ""))
        log = self.of(metadata["namespace"], metadata["name"], container)
        if parameters.get("previous") == "true":
            if log.previous is None:
                told = f'previous terminated container "{container}" in pod "{metadata["name"]}" not found'
                raise bad_request(told)
            log = log.previous
        return log.read(parameters)


def container_of(pod: Manifest, name: str) -> str:
    """The container that is meant: when none is named the only one, init containers aside. Raises StatusError (400)."""
    spec, pod_name = pod["spec"], pod["metadata"]["name"]
    plain = [each["name"] for each in spec.get("containers") or []]
    known = [*plain, *(each["name"] for each in spec.get("initContainers") or [])]
    if name and name not in known:
        raise bad_request(f"container {name} is not valid for pod {pod_name}")
    if not name and len(plain) > 1:
        told = f"a container name must be specified for pod {pod_name}, choose one of: [{' '.join(plain)}]"
        raise bad_request(told)
    return name or str(plain[0])
