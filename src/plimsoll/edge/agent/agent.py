"""The loop of a device: sync, take what is newer and right, prove it, and serve whatever happens to the link."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from plimsoll.edge.acceptance import refusal, wanted_of
from plimsoll.edge.agent.disk import AgentDisk, Identity
from plimsoll.edge.agent.following import Following
from plimsoll.edge.agent.log_sender import LogSender
from plimsoll.edge.agent.spool import LOGS
from plimsoll.edge.agent.surroundings import temperature
from plimsoll.edge.documents import REPORT, REQUEST, STATE, DesiredState, DeviceReport, EnrolmentRequest
from plimsoll.edge.envelopes import seal, unseal
from plimsoll.edge.key_statements import KEYS_TAG, take_statements
from plimsoll.edge.place import STATE_TAG, EdgePlace, report_tag, request_tag
from plimsoll.edge.tokens import proof
from plimsoll.errors import PlimsollError
from plimsoll.registry.references import parse_reference

FIRST_SYNC = 5.0
"""Seconds between syncs before a state says how many."""
TICK = 0.5


class Agent:
    """One device. `say` gets a line for each thing that happens."""

    def __init__(self, disk: AgentDisk, identity: Identity, say: Callable[[str], None]) -> None:
        self._disk = disk
        self._identity = identity
        self._say = say
        self._place = EdgePlace(parse_reference(identity.place))
        self._logs = LogSender(disk, identity)
        self._following = Following(disk, identity.device, say, self._tell_problem)
        self._state = disk.state()
        self._problem = ""
        self._asked = False
        self._key_id = str(disk.keys.signer().public_key.keyid)

    def run(self, stopped: Callable[[], bool]) -> None:
        """Serve until `stopped`; what was served before the agent's last end is served first, without a link."""
        self._following.resume()
        due = time.monotonic()
        try:
            while not stopped():
                if time.monotonic() >= due:
                    self.sync()
                    due = time.monotonic() + (self._state.sync if self._state else FIRST_SYNC)
                self._following.watch()
                time.sleep(TICK)
        finally:
            self._following.stop()
            self._place.close()
            self._logs.close()

    def sync(self) -> None:
        """Look for a newer state, follow it, and report. A link that is down changes nothing."""
        try:
            self._ask_to_be_taken_in()
            self._look_for_keys()
            self._look_for_state()
        except PlimsollError as error:
            self._tell_problem(f"sync: {error.on_one_line()}")
        self._follow()
        try:
            self._logs.send()
        except PlimsollError as error:
            self._tell_problem(f"logs: {error.on_one_line()}")
        self._take_logs()
        try:
            self._report()
        except PlimsollError as error:
            self._tell_problem(f"report: {error.on_one_line()}")

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
        self._place.write(request_tag(identity.device), seal(about, REQUEST, request, self._disk.keys))
        self._asked = True

    def _look_for_keys(self) -> None:
        if not self._place.changed(KEYS_TAG):
            return
        content = self._place.read(KEYS_TAG)
        for line in take_statements(content, self._disk.trust) if content is not None else ():
            self._say(line)

    def _look_for_state(self) -> None:
        if not self._place.changed(STATE_TAG):
            return
        envelope = self._place.read(STATE_TAG)
        if envelope is None:
            return
        group = self._identity.group
        state, _ = unseal(envelope, f"{group}/state", STATE, DesiredState, self._disk.owner)
        if why := refusal(state, group, self._state, datetime.now(UTC)):
            self._tell_problem(f"refused: {why}")
            return
        if state != self._state:
            self._disk.take(state)
            self._state = state
            self._say(f"took the state {state.counter}")

    def _follow(self) -> None:
        if self._state is None:
            return
        if self._following.follow(*wanted_of(self._state, self._identity.device, self._key_id)):
            self._problem = ""

    def _take_logs(self) -> None:
        for service in self._following.services.values():
            for name in LOGS:
                self._logs.spool.take(service.wanted.name, name, service.log(name))
        state = self._state
        if state is not None and (lost := self._logs.spool.bound(state.keep_bytes, state.keep)):
            self._say(f"dropped {lost} lines of logs: they had no room, or waited too long")

    def _report(self) -> None:
        identity = self._identity
        report = DeviceReport(
            device=identity.device,
            number=self._disk.next_number(),
            at=datetime.now(UTC),
            counter=self._state.counter if self._state else 0,
            release=self._following.applied.release,
            services=self._following.reports(),
            failed=self._following.applied.failed,
            problem=self._following.applied.problem or self._problem,
            logged=self._logs.sent,
            waiting=self._logs.waiting,
            dropped=self._logs.spool.dropped,
            disk=self._disk.free(),
            temperature=temperature(),
            fetched=self._following.applied.fetched,
        )
        about = f"{identity.group}/{identity.device}/report"
        self._place.write(report_tag(identity.device), seal(about, REPORT, report, self._disk.keys))

    def _tell_problem(self, problem: str) -> None:
        """Say a problem once, not at every sync."""
        if problem != self._problem:
            self._problem = problem
            self._say(problem)


def say_to_stderr(line: str) -> None:
    """A line with the time, for the journal of the system."""
    sys.stderr.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {line}\n")
    sys.stderr.flush()
