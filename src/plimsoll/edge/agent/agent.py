"""The loop of a device: sync, take what is newer and right, prove it, and serve whatever happens to the link."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from plimsoll.edge.acceptance import refusal, wanted_of
from plimsoll.edge.agent.disk import AgentDisk, Followed, Identity
from plimsoll.edge.agent.following import Following
from plimsoll.edge.agent.log_sender import LogSender
from plimsoll.edge.agent.spool import LOGS
from plimsoll.edge.agent.surroundings import temperature
from plimsoll.edge.documents import REPORT, REQUEST, STATE, DesiredState, DeviceReport, EnrolmentRequest, UploadRule
from plimsoll.edge.envelopes import seal, unseal
from plimsoll.edge.key_statements import KEYS_TAG, take_statements
from plimsoll.edge.place import STATE_TAG, EdgePlace, report_tag, request_tag
from plimsoll.edge.tokens import proof
from plimsoll.errors import ModelRefused, PlimsollError
from plimsoll.registry.references import parse_reference

FIRST_SYNC = 5.0
"""Seconds between syncs before a state says how many."""
TICK = 0.5
REFUSED = "refused"
"""What begins a problem with a state that is not taken."""
MOST_MOVES = 5
"""Groups through which a device goes in one sync: states that lead in a circle end nothing."""
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Agent:
    """One device. `say` gets a line for each thing that happens."""

    def __init__(self, disk: AgentDisk, identity: Identity, say: Callable[[str], None]) -> None:
        self._disk = disk
        self._identity = identity
        self._say = say
        self._followed = disk.followed(identity)
        self._place = EdgePlace(parse_reference(self._followed.place))
        self._logs = LogSender(disk, identity)
        self._following = Following(disk, identity.device, say, self._tell_problem)
        self._state = disk.state(self._followed.group)
        self._problems: dict[str, str] = {}
        self._asked = False
        self._key_id = str(disk.keys.signer().public_key.keyid)

    def run(self, stopped: Callable[[], bool]) -> None:
        """Serve until `stopped`; what was served before the agent's last end is served first, without a link."""
        self._following.resume()
        due = time.monotonic()
        try:
            while not stopped():
                if time.monotonic() >= due:
                    more = self.sync()
                    due = time.monotonic() + (0 if more else self._state.sync if self._state else FIRST_SYNC)
                self._following.watch()
                time.sleep(TICK)
        finally:
            self._following.stop()
            self.close()

    def close(self) -> None:
        """Close connections."""
        self._place.close()
        self._logs.close()

    def sync(self) -> bool:
        """Look for a newer state, follow it, and report; whether logs are left that can be sent at once.

        A link that is down changes nothing.
        """
        linked, more = False, False
        with self._going_on("sync"):
            self._ask_to_be_taken_in()
            self._look_for_keys()
            self._look_for_state()
            linked = True
        with self._going_on("release"):
            self._follow()
        with self._going_on("logs"):
            self._take_logs(linked=linked)
            # A link that is down takes its time to say so: it is not asked again for logs in this sync.
            more = linked and self._logs.send(self._rule)
        with self._going_on("report"):
            self._report()
        return more

    @contextlib.contextmanager
    def _going_on(self, what: str) -> Iterator[None]:
        """Tell what is in the way of the block, a link or a disk that is full, and go on after it."""
        try:
            yield
            self._problems.pop(what, None)
        except ModelRefused as error:
            # It is not read again, and stays the problem until another state is taken.
            self._tell_problem(f"{REFUSED}: {error.on_one_line()}")
        except PlimsollError as error:
            self._tell_problem(f"{what}: {error.on_one_line()}")
        except OSError as error:
            self._tell_problem(f"{what}: {error.strerror or type(error).__name__}: {error.filename or self._disk.root}")

    @property
    def _rule(self) -> UploadRule:
        return self._state.upload if self._state else UploadRule()

    def _ask_to_be_taken_in(self) -> None:
        if self._asked:
            return
        identity = self._identity
        key = self._disk.keys.signer().public_key
        request = EnrolmentRequest(
            device=identity.device,
            key_id=str(key.keyid),
            key={"keyid": key.keyid, **key.to_dict()},
            proof=proof(identity.secret, str(key.keyid)),
        )
        about = f"{identity.group}/{identity.device}/request"
        if self._followed.place == identity.place:
            self._place.write(request_tag(identity.device), seal(about, REQUEST, request, self._disk.keys))
        self._asked = True

    def _look_for_keys(self) -> None:
        if not self._place.changed(KEYS_TAG):
            return
        content = self._place.read(KEYS_TAG)
        for line in take_statements(content, self._disk.trust) if content is not None else ():
            self._say(line)

    def _look_for_state(self) -> None:
        """Take the newest state. One that leads to another group is followed at once, and at most so many."""
        for _ in range(MOST_MOVES):
            self._take_state()
            place = self._state.moved.get(self._key_id) if self._state is not None else None
            if self._state is None or not place:
                self._problems.pop("move", None)
                return
            before = self._followed
            with self._going_on("move"):
                self._go_to(place, self._state)
            if self._followed is before:
                return

    def _take_state(self) -> None:
        if not self._place.changed(STATE_TAG) or (envelope := self._place.read(STATE_TAG)) is None:
            return
        group = self._followed.group
        state, _ = unseal(envelope, f"{group}/state", STATE, DesiredState, self._disk.owner)
        now = max(datetime.now(UTC), self._followed.since or _LONG_AGO)
        if why := refusal(state, group, self._state, now):
            self._tell_problem(f"{REFUSED}: {why}")
            return
        self._problems.pop(REFUSED, None)
        if state != self._state:
            self._disk.take(state)
            self._state = state
            self._say(f"took the state {state.counter}")

    def _go_to(self, place: str, state: DesiredState) -> None:
        """Look at the place of another group from now on. What is served stays until its state is here.

        Raises RegistryError for a place that this device may not read: it stays where its owner reaches it.
        """
        there = EdgePlace(parse_reference(place))
        try:
            there.digest(STATE_TAG)
        except PlimsollError:
            there.close()
            raise
        self._followed = Followed(place=place, since=max(state.issued, self._followed.since or _LONG_AGO))
        self._disk.follow(self._followed)
        self._place.close()
        self._place = there
        self._state = self._disk.state(self._followed.group)
        self._say(f"belongs to {self._followed.group} from now on, at {place}")

    def _follow(self) -> None:
        if self._state is None:
            return
        wanted = wanted_of(self._state, self._identity.device, self._key_id)
        if self._following.follow(self._followed.group, *wanted):
            self._problems.clear()

    def _take_logs(self, *, linked: bool) -> None:
        spool, state = self._logs.spool, self._state
        with self._going_on("disk"):
            spool.press(self._rule, linked=linked)
            for service in self._following.services.values():
                for name in LOGS:
                    spool.take(service.wanted.name, name, service.log(name))
        if state is not None and (lost := spool.bound(state.keep_bytes, state.keep)):
            self._say(f"dropped {lost} lines of logs: they had no room, or waited too long")

    def _report(self) -> None:
        identity, group = self._identity, self._followed.group
        logged, held = self._logs.logged
        report = DeviceReport(
            device=identity.device,
            number=self._disk.next_number(),
            at=datetime.now(UTC),
            counter=self._state.counter if self._state else 0,
            release=self._following.applied.release if self._following.applied.group in ("", group) else 0,
            services=self._following.reports(),
            failed=self._following.applied.failed,
            problem=self._following.applied.problem
            or next((told for kind, told in self._problems.items() if kind != "report"), ""),
            logged=logged,
            held=held,
            waiting=self._logs.spool.size,
            dropped=self._logs.spool.dropped,
            left=self._logs.spool.left,
            uploaded=self._logs.budget.spent,
            disk=self._disk.free(),
            temperature=temperature(),
            fetched=self._following.applied.fetched,
        )
        about = f"{group}/{identity.device}/report"
        self._place.write(report_tag(identity.device), seal(about, REPORT, report, self._disk.keys))

    def _tell_problem(self, problem: str) -> None:
        """Say a problem once, not at every sync; each kind has its own, which a report names until it is over."""
        kind = problem.partition(":")[0]
        if self._problems.get(kind) != problem:
            self._problems[kind] = problem
            self._say(problem)


def say_to_stderr(line: str) -> None:
    """A line with the time, for the journal of the system."""
    sys.stderr.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {line}\n")
    sys.stderr.flush()
