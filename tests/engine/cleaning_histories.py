"""What people do in an application's directory in any order, with real storage and without processes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import threading
from pathlib import Path
from unittest import mock

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from plimsoll.engine.cleaning.cleaning import Cleaning
from plimsoll.engine.cleaning.deletion import delete_version
from plimsoll.engine.history import RunHistory
from plimsoll.engine.promotion.promoting import Pace, move
from plimsoll.engine.run_status import run_status
from plimsoll.errors import PlimsollError
from plimsoll.kinds.table import KINDS
from plimsoll.registry.versions import ModelVersion
from plimsoll.runtime.server.service_file import read_service_file
from plimsoll.state.integrity import OUTPUT
from plimsoll.targets.models import model_for_use
from tests.engine.cleaning_bench import ACCEPTED_FROM, Directory, Killed

VARIANTS = st.integers(0, 3)


class People(RuleBasedStateMachine):
    """Rules are what people do; invariants are what they rely on whatever `clean` has removed."""

    def __init__(self) -> None:
        super().__init__()
        self.place = Directory()
        self._home = mock.patch.dict(
            os.environ,
            {
                "XDG_CONFIG_HOME": str(self.place.path / "config"),
                "XDG_CACHE_HOME": str(self.place.path / "cache"),
            },
        )
        self._home.start()

    def teardown(self) -> None:
        self._home.stop()
        self.place.close()

    @initialize()
    def begin(self) -> None:
        self.place.run(ACCEPTED_FROM)

    @rule(variant=VARIANTS)
    def run(self, variant: int) -> None:
        assert self.place.run(variant).state == "done"

    @rule(variant=VARIANTS, step=st.sampled_from(["run/data", "train/m"]))
    def run_is_killed(self, variant: int, step: str) -> None:
        def kill(name: str) -> None:
            if name == step:
                raise Killed

        self.place.target.trouble = kill
        with contextlib.suppress(Killed):
            self.place.run(variant)
        self.place.target.trouble = lambda _: None
        self.place.cut_off(self.place.state.run_ids()[-1], step)

    @rule(data=st.data(), name=st.sampled_from(["best", "prod"]))
    def tag(self, data: st.DataObject, name: str) -> None:
        if versions := self.place.registry.versions("m"):
            version = data.draw(st.sampled_from(versions))
            self.place.registry.tag(version, name)
            self.place.tags[name] = version.version

    @precondition(lambda self: self.place.precious)
    @rule(data=st.data())
    def serve(self, data: st.DataObject) -> None:
        self.place.serve(self._drawn(data))

    @rule()
    def service_ends(self) -> None:
        (self.place.state.services / "s.json").unlink(missing_ok=True)

    @precondition(lambda self: self.place.up() and self.place.precious)
    @rule(data=st.data(), cut_off=st.booleans())
    def promote(self, data: st.DataObject, cut_off: bool) -> None:
        version = self._drawn(data)
        with contextlib.suppress(Killed), self.place.traffic() as mover:
            if mover.leading() == str(version.version):
                return
            if cut_off:
                mover.add(mover.leading(), str(version.version))
                raise Killed
            move(mover, self.place.registry, version, Pace(steps=(100,)), lambda _: None, lambda: False)

    @precondition(lambda self: self.place.up())
    @rule()
    def rollback(self) -> None:
        """Whatever was removed, the former version can have the requests again."""
        with self.place.traffic() as mover:
            former = mover.former()
            if former is not None and former != mover.leading():
                version = self.place.registry.find(f"m@{former}")
                done = move(mover, self.place.registry, version, Pace(steps=(100,)), lambda _: None, lambda: False)
                assert done.promoted

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        """A version goes unless somebody needs it."""
        versions = self.place.registry.versions("m")
        if not versions:
            return
        version = data.draw(st.sampled_from(versions))
        needed = version.version in self.place.needed() | set(self.place.tags.values())
        try:
            delete_version(version.reference, self.place.file.application, self.place.target)
        except PlimsollError as refused:
            assert needed, refused
            assert "is needed by" in refused.message
            return
        assert not needed
        self.place.precious.discard(version.version)

    @rule(keep=st.integers(1, 3))
    def clean(self, keep: int) -> None:
        place = self.place
        runs = place.state.run_ids()
        told = [(each.kind, each.name) for each in Cleaning(place.target, keep).find().removals]
        gone = [(each.kind, each.name) for each in Cleaning(place.target, keep).carry_out().removals]
        assert gone == told
        assert Cleaning(place.target, keep).find().removals == ()
        assert place.state.run_ids()[-keep:] == runs[-keep:]

    @rule(keep=st.integers(1, 3), moment=st.integers(0, 30))
    def clean_is_killed(self, keep: int, moment: int) -> None:
        left = [moment]
        whole = shutil.rmtree

        def count() -> None:
            left[0] -= 1
            if left[0] < 0:
                raise Killed

        def rename(path: Path, target: Path) -> Path:
            count()
            return whole_rename(path, target)

        def rmtree(path: Path) -> None:
            count()
            whole(path)

        whole_rename = Path.rename
        with (
            mock.patch.object(Path, "rename", rename),
            mock.patch("plimsoll.state.removing.shutil.rmtree", rmtree),
            contextlib.suppress(Killed),
        ):
            Cleaning(self.place.target, keep).carry_out()

    @rule(variant=VARIANTS, keep=st.integers(1, 3))
    def clean_beside_a_run(self, variant: int, keep: int) -> None:
        begun, cleaned = threading.Event(), threading.Event()

        def pause(name: str) -> None:
            begun.set()
            assert cleaned.wait(20)

        self.place.target.trouble = pause
        ended: list[RunHistory] = []
        runner = threading.Thread(target=lambda: ended.append(self.place.run(variant)))
        runner.start()
        while not begun.wait(0.01) and runner.is_alive():
            continue
        Cleaning(self.place.target, keep).carry_out()
        cleaned.set()
        runner.join(20)
        self.place.target.trouble = lambda _: None
        assert [each.state for each in ended] == ["done"]

    @rule(variant=VARIANTS, keep=st.integers(1, 3))
    def a_run_begins_while_clean_goes_on(self, variant: int, keep: int) -> None:
        ended: list[RunHistory] = []
        runner = threading.Thread(target=lambda: ended.append(self.place.run(variant)))
        started: list[bool] = []

        def begin_run(_: object) -> None:
            if not started:
                started.append(True)
                runner.start()

        Cleaning(self.place.target, keep).carry_out(begin_run)
        if not started:
            runner.start()
        runner.join(20)
        assert [each.state for each in ended] == ["done"]

    @invariant()
    def versions_are_whole(self) -> None:
        registry = self.place.registry
        registry.require_index()
        listed = {version.version: version for version in registry.versions("m")}
        assert self.place.precious <= listed.keys()
        for version in listed.values():
            assert registry.open(version).files["model.onnx"].read_bytes().startswith(b"weights ")
        for name, number in self.place.tags.items():
            assert registry.find(f"m:{name}").version == number

    @invariant()
    def the_service_has_what_it_reads(self) -> None:
        if up := self.place.up():
            for each in read_service_file(Path(up.service_file)).models:
                for path, digest in each.files.items():
                    assert f"sha256:{hashlib.sha256(Path(path).read_bytes()).hexdigest()}" == digest
            for number in self.place.needed():
                assert model_for_use(self.place.state, f"m@{number}", None)[1].exists()

    @invariant()
    def the_newest_run_can_be_resumed(self) -> None:
        state = self.place.state
        newest = run_status(state)
        for step in newest.steps:
            shape = KINDS.works[step.verb].result
            if step.state == "done":
                assert state.result(step.key, shape) is not None, step.name
            elif step.state == "running" and step.verb == "train":
                assert (state.checkpoints / step.key / "last").exists()
                assert (state.work / step.key / OUTPUT / "metrics.jsonl").exists() or state.curve(step.key)

    def _drawn(self, data: st.DataObject) -> ModelVersion:
        number = data.draw(st.sampled_from(sorted(self.place.precious)))
        return self.place.registry.find(f"m@{number}")
