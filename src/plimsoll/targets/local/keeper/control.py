"""Starts, asks and ends the keeper of an application; the other side is `process`."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from plimsoll.errors import PlimsollError, TargetError
from plimsoll.files import replace_file
from plimsoll.kinds.serve import Serve
from plimsoll.planning.steps import Step
from plimsoll.runtime.server.service_file import ModelFile, ServiceFile, read_service_file
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.detached import DetachedProcess
from plimsoll.targets.features import KeptService
from plimsoll.targets.local.keeper.records import FAILED, STARTING, UP, KeeperPlace, KeeperRecord, WantedService
from plimsoll.targets.local.own_code import version_file
from plimsoll.targets.local.ports import address_problem
from plimsoll.targets.local.promotion_record import PromotionRecord
from plimsoll.targets.local.servers import announce, running_services
from plimsoll.targets.local.work.serve import pinned_service
from plimsoll.targets.models import version_for_use
from plimsoll.waits import waiting_for

MODULE = "plimsoll.targets.local.keeper"
BEGIN_LIMIT = 20.0
"""Seconds that a keeper has to say that it lives."""
END_LIMIT = 25.0
"""Seconds that it has to end its services, whose requests are answered first."""
TICK = 0.05


class LocalKeeper:
    """The keeper of an application's directory, seen from another process."""

    def __init__(self, state: StateDirectory) -> None:
        self._state = state
        self._place = KeeperPlace(state)

    def kept(self) -> Mapping[str, KeptService]:
        """The services that are to be kept up, by name, and how they are."""
        record, death = self._place.living(), self._place.death()
        found = {}
        for name, wanted in self._place.wanted().items():
            told = record.services.get(name) if record else None
            if told is not None and told.settings == wanted.settings:
                found[name] = _kept(wanted, told.state, told.url, told.reason)
            else:
                found[name] = _kept(wanted, FAILED if death else STARTING, reason=death)
        return found

    def problems(self) -> Mapping[str, str]:
        """Why services are not up, and what brings them back, by name."""
        lives = self._place.living() is not None
        again = "the keeper starts it again" if lives else "`plimsoll up` brings it back at the same address"
        return {
            name: f"{each.reason or 'it is being started'}; {again}"
            for name, each in self.kept().items()
            if each.state != UP
        }

    def keeper(self) -> str:
        """Who keeps them now."""
        record = self._place.living()
        return f"process {record.pid}, since {record.since:%Y-%m-%d %H:%M:%S} UTC" if record else ""

    def leading(self, service: str) -> str | None:
        """The version with most of the requests in the service's file."""
        content = self._content(service)
        return leading_version(content) if content is not None else None

    def address_problem(self, work: Serve) -> str:
        """Why the port of the file cannot be had; one that a service of this application has is its own."""
        if not work.port:
            return ""
        up = running_services(self._state).get(work.service)
        return "" if up is not None and up.url.endswith(f":{work.port}") else address_problem(work.host, work.port)

    def keep(self, steps: Sequence[Step[Serve]], asked: Mapping[str, Serve]) -> None:
        """Write what is wanted, and start the keeper unless it lives."""
        self._state.make()
        self._place.make()
        # All are verified before any is changed.
        directory = self._state.application.absolute()
        for step, made in [(step, pinned_service(step, self._state, directory)[1]) for step in steps]:
            self._keep(step, asked[step.part], made)
        self._ensure()

    def release(self, services: Sequence[str]) -> list[str]:
        """Have services ended, by default all of them; returns those that were kept."""
        wanted = self._place.wanted()
        leaving = [name for name in wanted if name in services or not services]
        for name in leaving:
            self._place.unwant(name)
        if not leaving and services:
            return []
        left = len(wanted) > len(leaving)
        record = self._verified()
        if record is None:
            return leaving
        if not left:
            os.kill(record.pid, signal.SIGTERM)
        with waiting_for(f"the keeper (process {record.pid}) to end {', '.join(leaving)}"):
            deadline = time.monotonic() + END_LIMIT
            while self._goes_on(leaving, left=left):
                if time.monotonic() > deadline:
                    raise TargetError(
                        f"the keeper did not end {', '.join(leaving)} within {END_LIMIT:g} s",
                        where=f"process {record.pid}",
                        hint=f"kill -9 {record.pid} ends it and every server that it has started",
                    )
                time.sleep(TICK)
        return leaving

    def _goes_on(self, leaving: Sequence[str], *, left: bool) -> bool:
        if not left:
            return self._place.is_held()
        record = self._place.living()
        return record is not None and any(name in record.services for name in leaving)

    def _verified(self) -> KeeperRecord | None:
        """The living keeper; `None` without one. Raises TargetError for one that another machine or container runs."""
        deadline = time.monotonic() + BEGIN_LIMIT
        while (record := self._place.living()) is None and self._place.is_held():
            if time.monotonic() > deadline:
                raise TargetError(
                    "the keeper of this application is not a process that can be seen from here",
                    where=str(self._place.lock),
                    hint="it runs in another container or on another machine: end it there",
                )
            time.sleep(TICK)
        return record

    def _keep(self, step: Step[Serve], asked: Serve, made: ServiceFile) -> None:
        work = step.work
        before = self._place.last_wanted(work.service)
        wanted = WantedService(
            work=work,
            cores=step.resources.cores,
            asked=_digest([asked.model, *(replace(share, register_key=None) for share in asked.shares)]),
            follows=asked.follows,
            rollout=asked.rollout,
            settings=_digest([_without_versions(work), step.resources.cores]),
        )
        self._place.service_file(work.service).parent.mkdir(parents=True, exist_ok=True)
        content = self._content(work.service)
        unchanged = before is not None and before.asked == wanted.asked
        if content is not None and work.model and unchanged and leading_version(content) == leading_version(made):
            made = self._verified_content(content, made)
        elif content is not None and work.model:
            made = self._with_way_back(content, made)
        self._write(work.service, content, made)
        self._place.want(wanted)

    def _verified_content(self, content: ServiceFile, made: ServiceFile) -> ServiceFile:
        """The shares as they were, of versions that are verified again."""
        models: list[ModelFile] = []
        for file in content.models:
            try:
                version, files = version_for_use(self._state, f"{file.name}@{file.version}", None)
                models.append(version_file(version, files, made.models[0].code))
            except PlimsollError:
                # A version without requests is no loss; that with most of them is verified in `made`.
                continue
        known = {file.version for file in models}
        traffic = {
            name: tuple(share for share in shares if share.version in known) for name, shares in content.traffic.items()
        }
        return replace(content, models=tuple(models), traffic=traffic, batching=made.batching)

    def _with_way_back(self, content: ServiceFile, made: ServiceFile) -> ServiceFile:
        """What is wanted now, with the version of before as the one that `plimsoll rollback` leads back to."""
        model, old, new = made.models[0].name, leading_version(content), leading_version(made)
        former = content.former.get(model) if old == new else old
        if former in (None, new) or content.models[0].name != model:
            return made
        try:
            version_for_use(self._state, f"{model}@{former}", None)
        except PlimsollError:
            return made
        return replace(made, former={model: former})

    def _write(self, service: str, before: ServiceFile | None, content: ServiceFile) -> None:
        """Change the file of a service; a server that runs is told."""
        if before == content:
            return
        record = PromotionRecord(self._place.service_file(service))
        with record.exclusive():
            record.end()
            replace_file(record.file, msgspec.json.encode(content))
            up = running_services(self._state).get(service)
            if up is not None:
                announce(self._state, replace(up, version=int(leading_version(content))))
                with contextlib.suppress(ProcessLookupError):
                    os.kill(up.pid, signal.SIGHUP)

    def _content(self, service: str) -> ServiceFile | None:
        try:
            return read_service_file(self._place.service_file(service))
        except TargetError:
            return None

    def _ensure(self) -> None:
        """Start the keeper unless one lives. Raises TargetError when it ends at once."""
        if self._verified() is not None:
            return
        # Not the application's directory, whose modules would come before Python's own.
        argv = [sys.executable, "-m", MODULE, str(self._state.application.absolute())]
        process = DetachedProcess(argv, self._place.log, self._place.root)
        deadline = time.monotonic() + BEGIN_LIMIT
        while self._place.living() is None:
            if (status := process.ended()) is not None and not self._place.is_held():
                raise TargetError(f"the keeper ended with exit status {status}", where=str(self._place.log))
            if time.monotonic() > deadline:
                raise TargetError(f"the keeper did not begin within {BEGIN_LIMIT:g} s", where=str(self._place.log))
            time.sleep(TICK)
        process.let_go()


def _kept(wanted: WantedService, state: str, url: str = "", reason: str = "") -> KeptService:
    return KeptService(
        work=wanted.work, follows=wanted.follows, rollout=wanted.rollout, state=state, url=url, reason=reason
    )


def leading_version(content: ServiceFile) -> str:
    """The version with the largest share, or the newest of a service without shares."""
    shares = next(iter(content.traffic.values()), ())
    if shares:
        return max(shares, key=lambda share: share.weight).version
    return max((file.version for file in content.models), key=int)


def _without_versions(work: Serve) -> Serve:
    # An assistant, its index and its language model stand in the service file, which a server reads again.
    llm = None if work.assistant is not None else work.llm
    return replace(work, model="", register_key=None, shares=(), rollout="accepted", llm=llm, assistant=None)


def _digest(value: object) -> str:
    return hashlib.sha256(msgspec.json.encode(value)).hexdigest()


def kept_log(state: StateDirectory, service: str) -> Path:
    """Where the server of a kept service writes."""
    return KeeperPlace(state).server_log(service)
