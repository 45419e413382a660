"""An application's directory with real storage and without processes, for histories of what people do."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import msgspec

from plimsoll.engine.application_run import ApplicationRun
from plimsoll.engine.history import RunHistory
from plimsoll.engine.preparation import Prepared
from plimsoll.kinds.dataset import CommandResult, RunCommand
from plimsoll.kinds.register import Register
from plimsoll.kinds.table import KINDS
from plimsoll.kinds.train import TrainGang, TrainResult
from plimsoll.planning.steps import AnyStep, Ingredient, InputFile, Plan, Step, Work
from plimsoll.registry.models import ModelRegistry
from plimsoll.registry.versions import ModelVersion
from plimsoll.runtime.outputs import files_in
from plimsoll.runtime.server.service_file import ServiceFile, read_service_file
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.attempt import Progress, done
from plimsoll.targets.local.attempt import LocalAttempt
from plimsoll.targets.local.promotion_record import PromotionRecord
from plimsoll.targets.local.servers import RunningService, announce, model_file, running_services
from plimsoll.targets.local.session import LocalSession
from plimsoll.targets.local.target import LocalTarget
from plimsoll.targets.local.traffic import LocalTraffic, find_local_traffic
from plimsoll.targets.local.work.register import register
from plimsoll.targets.models import model_for_use, model_registry
from plimsoll.targets.port import RunRequest
from plimsoll.telemetry.version_counts import VersionCounts

FILE = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: tiny}
spec:
  datasets: {}
"""
ACCEPTED_FROM = 2
"""Variants below it come to versions that miss their bounds."""


class Killed(BaseException):
    """What stands for SIGKILL: nothing catches it, and nothing is tidied up."""


class Target(LocalTarget):
    """This machine, whose trainings are functions: `trouble` is called inside of each, after it has written a part."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.directory = directory
        self.trouble: Callable[[str], None] = lambda _: None

    def open(self, run: str, *, watch: bool) -> LocalSession:
        return Session(self, run)


class Session(LocalSession):
    def __init__(self, target: Target, run: str) -> None:
        super().__init__(target.directory, run, state=target.state)
        self.target = target

    def begin(self, request: RunRequest | None = None) -> int:
        self.state.clear_work()
        return 0

    def start(self, step: AnyStep, attempt: int) -> LocalAttempt[Work]:
        self.state.fresh_work(step.key)
        return LocalAttempt(step, attempt, self.context, self._execute)

    def _execute(self, attempt: LocalAttempt[Work]) -> Progress:
        work = attempt.work
        if isinstance(work, Register):
            return (yield from register(cast("LocalAttempt[Register]", attempt)))
        yield from ()
        variant = int(attempt.step.key[0])
        (attempt.output / "model.onnx").write_bytes(b"weights %d" % variant)
        (attempt.output / "metrics.jsonl").write_text('{"step": 1, "loss": 1}\n')
        if isinstance(work, TrainGang):
            attempt.checkpoints.mkdir(parents=True, exist_ok=True)
            (attempt.checkpoints / "last").write_text("1")
        self.target.trouble(attempt.step.name)
        outputs, metrics = files_in(attempt.output), {"good": float(variant)}
        made = CommandResult(outputs=outputs) if isinstance(work, RunCommand) else None
        return done(made or TrainResult(outputs=outputs, metrics=metrics))


class Traffic(LocalTraffic):
    """Moves traffic in the service file alone: there is no server to be told."""

    def counts(self, versions: tuple[str, str]) -> dict[str, VersionCounts]:
        return {version: VersionCounts(loaded=True) for version in versions}

    def _write_bytes(self, content: bytes) -> None:
        self._record.write(content)


def plan_of(variant: int, code: str) -> Plan:
    """A plan whose keys begin with the number of the variant."""

    def key(name: str) -> str:
        return str(variant) + hashlib.sha256(f"{name} {variant} {code}".encode()).hexdigest()[1:]

    ingredients = (Ingredient(kind="code", name="train.py", digest=code),)
    data: AnyStep = Step(part="data", key=key("data"), work=RunCommand(command="true"))
    inputs = (InputFile(name="data", step=data.name, key=data.key),)
    gang = TrainGang(command="true", framework="none", inputs=inputs)
    train: AnyStep = Step(part="m", key=key("train"), work=gang, needs=(data.name,), ingredients=ingredients)
    work = Register(
        model="m",
        train=train.name,
        train_key=train.key,
        command="true",
        framework="none",
        accept={"good": f">= {ACCEPTED_FROM}"},
        lineage=ingredients,
    )
    last: AnyStep = Step(part="m", key=key("register"), work=work, needs=(train.name,))
    return Plan(application="tiny", target="local", steps=(data, train, last))


class Directory:
    """One application's directory, what its people have done there, and what they may rely on."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="plimsoll-histories-"))
        (self.path / "plimsoll.yaml").write_text(FILE)
        self.file = KINDS.load(self.path / "plimsoll.yaml")
        self.target = Target(self.path)
        self.numbers: set[int] = set()
        self.precious: set[int] = set()
        """Versions that were accepted, and that nobody has deleted."""
        self.tags: dict[str, int] = {}

    @property
    def state(self) -> StateDirectory:
        return self.target.state

    @property
    def registry(self) -> ModelRegistry:
        return model_registry(self.state)

    def run(self, variant: int) -> RunHistory:
        source = f"print({variant % 2})".encode()
        (self.path / "train.py").write_bytes(source)
        plan = plan_of(variant, hashlib.sha256(source).hexdigest())
        prepared = Prepared(file=self.file, plan=plan, facts=self.target.facts(), target=self.target)
        happened = ApplicationRun(prepared).carry_out()
        self.note_versions()
        return happened

    def note_versions(self) -> None:
        for version in self.registry.versions("m"):
            if version.version not in self.numbers:
                assert version.version > max(self.numbers, default=0), "a number was given again"
                self.numbers.add(version.version)
                self.precious |= {version.version} if version.accepted else set()

    def cut_off(self, run: str, after: str) -> None:
        """Have a run's journal end where a kill in a step would have ended it."""
        journal = self.state.journal(run)
        kept: list[bytes] = []
        for line in journal.read_bytes().splitlines(keepends=True):
            kept.append(line)
            seen = json.loads(line)
            if seen["subject"] == after and seen["fact"]["event"] == "step-started":
                break
        journal.write_bytes(b"".join(kept))

    def up(self) -> RunningService | None:
        return running_services(self.state).get("s")

    def serve(self, version: ModelVersion) -> None:
        found, path = model_for_use(self.state, version.reference, None)
        file = self.state.services / "s" / "service.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        service = ServiceFile(models=(model_file(found, path),))
        PromotionRecord(file).write(msgspec.json.encode(service))
        run = self.state.run_ids()[-1]
        announce(
            self.state,
            RunningService(
                name="s", url="", pid=os.getpid(), model="m", version=found.version, run=run, service_file=str(file)
            ),
        )

    @contextlib.contextmanager
    def traffic(self) -> Iterator[Traffic]:
        plain = find_local_traffic(self.state, "m", None, lambda: False)
        mover = Traffic(self.state, plain._up, lambda: False)
        with mover.exclusive():
            yield mover

    def needed(self) -> set[int]:
        """The versions that the service needs: those that it answers with, and those that it may be led back to."""
        up = self.up()
        if up is None:
            return set()
        file = read_service_file(Path(up.service_file))
        before = PromotionRecord(Path(up.service_file)).interrupted_content()
        files = [file, msgspec.json.decode(before, type=ServiceFile)] if before else [file]
        served = {int(each.version) for every in files for each in every.models}
        return served | {int(version) for version in file.former.values()}

    def close(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
