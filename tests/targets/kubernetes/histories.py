"""Two people, two applications and a stranger in one namespace: what each of them does, in any order.

What they have done is kept beside the cluster, so that after every step it can be held against what stands there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from plimsoll.errors import PlimsollError, TargetError
from plimsoll.kinds.dataset import RunCommand
from plimsoll.kinds.serve import Serve
from plimsoll.kubernetes.memory.controllers.owning import is_leaving
from plimsoll.planning.steps import AnyStep, Step
from plimsoll.registry.models import ModelRegistry
from plimsoll.registry.versions import Lineage
from plimsoll.signing.keys import KeyRing
from plimsoll.targets.features import LEAVINGS
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.target import KubernetesTarget
from tests.targets.kubernetes.bench import Carried, Manifest
from tests.targets.kubernetes.scene import Person, Run, Stage

USERS = ("ada", "bob")
SERVICES = {"x": ("api", "b-c", "taken"), "x-b": ("api", "c", "taken")}
"""Services by application. Two of them would have the same names if names were all; the last one's are a stranger's."""
KINDS = (
    ("v1", "ConfigMap"),
    ("v1", "Service"),
    ("v1", "ServiceAccount"),
    ("v1", "Secret"),
    ("apps/v1", "Deployment"),
    ("batch/v1", "Job"),
    ("policy/v1", "PodDisruptionBudget"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    (names.LEASES, "Lease"),
)


class Histories(RuleBasedStateMachine):
    """Rules are what people do; invariants are what nobody may find."""

    def __init__(self, stage: Stage, place: Path) -> None:
        super().__init__()
        self.stage, self.cluster = stage, stage.cluster
        self.people = {name: Person(name, place) for name in USERS}
        self.runs: dict[tuple[str, str], Run] = {}
        self.served: dict[tuple[str, str], str] = {}
        self.gone_by_hand: set[str] = set()
        self._numbers = 0
        self.theirs: dict[tuple[str, str], Manifest] = {}
        for each in strangers(stage.namespace):
            self._put(each)

    def _put(self, manifest: Manifest) -> None:
        self.theirs[manifest["kind"], manifest["metadata"]["name"]] = self.cluster.put(manifest)

    # What people do.

    @initialize(user=st.sampled_from(USERS), application=st.sampled_from(sorted(SERVICES)), which=st.integers(0, 1))
    def begin(self, user: str, application: str, which: int) -> None:
        """A service is up, and its run goes on."""
        self._start(user, application, "1")
        self._serve(self.runs[user, application], SERVICES[application][which])

    @precondition(lambda self: len(self.runs) < len(USERS) * len(SERVICES))
    @rule(data=st.data(), content=st.sampled_from("112"))
    def run(self, data: st.DataObject, content: str) -> None:
        places = [(user, application) for user in USERS for application in SERVICES]
        user, application = data.draw(st.sampled_from([each for each in places if each not in self.runs]))
        self._start(user, application, content)

    @precondition(lambda self: self.alone())
    @rule(data=st.data(), content=st.sampled_from("112"))
    def meet(self, data: st.DataObject, content: str) -> None:
        """Somebody runs what somebody else runs already, as it is or as they have changed it."""
        user, application = data.draw(st.sampled_from(self.alone()))
        self._start(next(each for each in USERS if each != user), application, content)

    def _start(self, user: str, application: str, content: str) -> None:
        others = [run for (_, of), run in self.runs.items() if of == application]
        held = self._holder(application)
        with self._spares(application):
            made = self._run(user, application, content)
            try:
                made.begin()
            except TargetError as refused:
                made.stop()
                assert "carries out other content" in refused.message, refused
                assert held is not None, f"refused while nobody runs: {refused}"
                return
        self.runs[user, application] = made
        if not others and held is None:
            assert not made.session.joined()
        if others:
            assert made.session.joined() or any(not each.session.context.lease.holds() for each in others)
        if not made.session.joined():
            self.gone_by_hand.discard(made.step.key[:16])
        if made.step.key[:16] not in self.gone_by_hand:
            assert self.cluster.wait_for(lambda: self._job(made), self.stage.patience), f"{made.id} has no workload"

    @precondition(lambda self: self.holding())
    @rule(data=st.data(), which=st.integers(0, 2))
    def serve(self, data: st.DataObject, which: int) -> None:
        run = self.runs[data.draw(st.sampled_from(self.holding()))]
        self._serve(run, SERVICES[run.application][which])

    def _serve(self, run: Run, service: str) -> None:
        application = run.application
        with self._spares(application), run.person.acting():
            step = self._service_step(run, service)
            end = Carried(run.session.start(step, 1)).end()
        if end.outcome != "done" and self._is_taken(application, service):
            # Nothing of whoever has the name was touched, and they are named.
            assert "somebody else's" in end.reason, end.reason
            return
        assert end.outcome == "done", end.reason
        self.served[application, service] = step.key

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def interrupt(self, data: st.DataObject) -> None:
        run = self.runs.pop(data.draw(st.sampled_from(sorted(self.runs))))
        application, joined = run.application, run.session.joined()
        with self._spares(application):
            run.stop()
        if not joined and not self._live(application):
            assert self._job(run) is None, f"{run.id} has left its workload"

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def kill(self, data: st.DataObject) -> None:
        self.runs.pop(data.draw(st.sampled_from(sorted(self.runs)))).kill()

    @precondition(lambda self: self.left_behind())
    @rule(data=st.data())
    def silence(self, data: st.DataObject) -> None:
        """A lease whose holder was killed runs out."""
        application = data.draw(st.sampled_from(self.left_behind()))
        lease = self._holder(application)
        assert lease is not None
        old = {**lease["spec"], "leaseDurationSeconds": 0, "renewTime": "2026-01-01T00:00:00.000000Z"}
        self.cluster.put({**lease, "spec": old})
        live = self._live(application)
        assert not live or self.cluster.wait_for(partial(self._is_held, live), self.stage.patience)

    @rule(user=st.sampled_from(USERS), application=st.sampled_from(sorted(SERVICES)), force=st.booleans())
    def down(self, user: str, application: str, force: bool) -> None:
        own = self.runs.pop((user, application), None)
        if own is not None:
            own.stop()
        held, live = self._holder(application), self._live(application)
        person = self.people[user]
        with self._spares(application), person.acting():
            try:
                self._target(person, application).remove(force=force)
            except TargetError as refused:
                assert not force, refused
                assert "is under way" in refused.message, refused
                assert live or held is not None, f"refused while nobody runs: {refused}"
                return
        assert force or not live
        for run in live:
            self._ousted(run)
        self.served = {place: key for place, key in self.served.items() if place[0] != application}
        left = [key for key in self._objects() if self._application(key) == application]
        assert not left, f"left after down: {left}"

    @rule(user=st.sampled_from(USERS), application=st.sampled_from(sorted(SERVICES)))
    def clean(self, user: str, application: str) -> None:
        """Somebody removes what finished runs have left: what goes on or serves stays, and what is others'."""
        held, live = self._holder(application), self._live(application)
        before = {key for key in self._objects() if self._application(key) == application}
        person = self.people[user]
        with self._spares(application), person.acting():
            try:
                gone = self._target(person, application).features.require(LEAVINGS).remove((), lambda _: None)
            except TargetError as refused:
                assert "is under way" in refused.message, refused
                assert live or held is not None, f"refused while nobody runs: {refused}"
                return
        assert not live, "removed under a run"
        after = {key for key in self._objects() if self._application(key) == application}
        assert {f"{kind}/{name}" for kind, name in before - after if kind != "Lease"} <= {each.name for each in gone}

    @precondition(lambda self: self.served)
    @rule(data=st.data())
    def move(self, data: st.DataObject) -> None:
        """A server's pod is moved to another node, as by a drain."""
        application, service = data.draw(st.sampled_from(sorted(self.served)))
        labels = {names.APPLICATION: application, names.SERVICE: service}
        for pod in self.cluster.list("v1", "Pod", self.stage.namespace, names.selector(labels)):
            self.cluster.delete(pod, grace=0)

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        """The stranger deletes something that is not theirs: it is made again by the next run, and nothing else."""
        ours = sorted(key for key in self._objects() if self._application(key) and key[0] not in ("Lease", "ConfigMap"))
        if not ours:
            return
        kind, name = data.draw(st.sampled_from(ours))
        found = self._objects()[kind, name]
        self.cluster.delete(found)
        labels = found["metadata"]["labels"]
        self.gone_by_hand.add(labels.get(names.KEY, ""))
        self.served.pop((labels[names.APPLICATION], labels.get(names.SERVICE, "")), None)

    @rule(number=st.integers(0, 2), text=st.text("ab", max_size=2))
    def edit(self, number: int, text: str) -> None:
        """The stranger changes what is theirs."""
        metadata = {"name": f"mine-{number}", "namespace": self.stage.namespace, "labels": {"app": "mine"}}
        self._put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"text": text}})

    # What nobody may find.

    @invariant()
    def what_is_the_strangers_is_as_they_left_it(self) -> None:
        for (kind, name), left in self.theirs.items():
            found = self.cluster.find(left["apiVersion"], kind, name, self.stage.namespace)
            assert found is not None, f"{kind} {name} of the stranger is gone"
            for part in ("data", "stringData", "spec"):
                assert found.get(part) == left.get(part), f"{kind} {name} of the stranger was changed"
            for part in ("uid", "labels", "annotations", "ownerReferences"):
                assert found["metadata"].get(part) == left["metadata"].get(part)

    @invariant()
    def every_service_is_up(self) -> None:
        for (application, service), key in self.served.items():
            labels = names.selector({names.APPLICATION: application, names.SERVICE: service})

            def up(labels: str = labels, key: str = key) -> bool:
                found = self.cluster.list("apps/v1", "Deployment", self.stage.namespace, labels)
                return bool(found) and all(
                    each["metadata"].get("annotations", {}).get(names.KEY) == key
                    and each.get("status", {}).get("availableReplicas") == each["spec"].get("replicas", 1)
                    for each in found
                )

            assert self.cluster.wait_for(up, self.stage.patience), f"service {service} of {application} is down"
            fronts = self.cluster.list("v1", "Service", self.stage.namespace, labels)
            assert fronts, f"service {service} of {application} has no Service"

    @invariant()
    def one_run_at_a_time_has_an_application(self) -> None:
        for application in SERVICES:
            holding = [run.id for run in self._live(application) if run.session.context.lease.holds()]
            assert len(holding) <= 1, f"{application} is held by {holding}"

    @invariant()
    def what_a_run_is_at_goes_on(self) -> None:
        for run in self.runs.values():
            if run.step.key[:16] in self.gone_by_hand:
                continue
            # Whoever has joined a run that was stopped begins anew what that one has ended.
            assert self.cluster.wait_for(partial(self._goes_on, run), self.stage.patience), (
                f"the workload of {run.id} is gone"
            )

    def teardown(self) -> None:
        try:
            for run in self.runs.values():
                run.stop()
            for application in SERVICES:
                self._target(self.people["ada"], application).remove(force=True)
            left = [key for key in self._objects() if self._application(key)]
            assert not left, f"left in the end: {left}"
            self.what_is_the_strangers_is_as_they_left_it()
        finally:
            self.stage.close()

    # What the rules are made of.

    def holding(self) -> list[tuple[str, str]]:
        """Places of the runs that hold their application."""
        return sorted(place for place, run in self.runs.items() if run.session.context.lease.holds())

    def alone(self) -> list[tuple[str, str]]:
        """Places of the runs whose application nobody else runs."""
        return sorted(place for place in self.runs if len(self._live(place[1])) == 1)

    def left_behind(self) -> list[str]:
        """Applications whose lease is of a run that was killed."""
        held = {application for _, application in self.holding()}
        return sorted(each for each in SERVICES if each not in held and self._holder(each) is not None)

    def _target(self, person: Person, application: str) -> KubernetesTarget:
        return self.stage.target(application, person.place / application)

    def _run(self, user: str, application: str, content: str) -> Run:
        self._numbers += 1
        person = self.people[user]
        key = hashlib.sha256(f"{self.stage.namespace} {application} {content}".encode()).hexdigest()
        # The same key for whoever runs the same content.
        step = Step(part="long", key=key, work=RunCommand(command=self.stage.endless))
        return Run(person, self._target(person, application), application, content, self._numbers, step)

    def _service_step(self, run: Run, service: str) -> AnyStep:
        """A service of a model that the person has signed with their own key."""
        ring = KeyRing.default()
        registry = ModelRegistry(run.state.registry, ring)
        if not registry.versions("triage"):
            source = run.person.place / "model.onnx"
            self.stage.model(source, run.person.name)
            lineage = Lineage(run=run.id, step="train/triage", key="k")
            registry.add("triage", {"model.onnx": source}, lineage=lineage, metrics={}, accept={})
        version = registry.find("triage@1")
        self.stage.signed(version.digest, str(ring.signer().public_key.keyid))
        key = hashlib.sha256(f"{run.application} {service} {run.content} {version.digest}".encode()).hexdigest()
        return Step(part=service, key=key, work=Serve(service=service, model="triage@1"))

    def _live(self, application: str) -> list[Run]:
        return [run for (_, of), run in self.runs.items() if of == application]

    def _holder(self, application: str) -> Manifest | None:
        return self.cluster.find(names.LEASES, "Lease", f"{application}-run", self.stage.namespace)

    def _job(self, run: Run) -> Manifest | None:
        return self.cluster.find("batch/v1", "Job", names.workload(run.application, run.step), self.stage.namespace)

    @staticmethod
    def _is_held(live: list[Run]) -> bool:
        return any(run.session.context.lease.holds() for run in live)

    def _goes_on(self, run: Run) -> bool:
        job = self._job(run)
        return job is not None and not is_leaving(job)

    def _is_taken(self, application: str, service: str) -> bool:
        """Whether others have objects of the names that a service would have."""
        plain = f"{application}-{service}"
        return any(name.startswith(plain) for _, name in {*self.theirs, *self._of_others(application)})

    def _ousted(self, run: Run) -> None:
        """A run from which the application was taken ends by itself, and says so."""
        self.runs = {place: each for place, each in self.runs.items() if each is not run}
        assert run.carried is not None
        assert run.carried.end().outcome == "failed"
        with suppress(PlimsollError):
            run.session.close()
        run.lock.release()

    def _objects(self) -> Mapping[tuple[str, str], Manifest]:
        return {
            (kind, each["metadata"]["name"]): {**each, "apiVersion": api_version, "kind": kind}
            for api_version, kind in KINDS
            for each in self.cluster.list(api_version, kind, self.stage.namespace)
        }

    def _application(self, key: tuple[str, str]) -> str:
        labels = self._objects()[key]["metadata"].get("labels") or {}
        return str(labels.get(names.APPLICATION, ""))

    @contextmanager
    def _spares(self, application: str) -> Iterator[None]:
        """Nothing of any other application is made, changed or deleted while the block runs."""
        before = self._of_others(application)
        yield
        after = self._of_others(application)
        assert after == before, {
            key: (before.get(key), after.get(key))
            for key in before.keys() | after.keys()
            if before.get(key) != after.get(key)
        }

    def _of_others(self, application: str) -> Mapping[tuple[str, str], object]:
        return {
            key: (each["metadata"]["uid"], each.get("spec"), each.get("data"))
            for key, each in self._objects().items()
            if each["metadata"].get("labels", {}).get(names.APPLICATION) not in (application, None)
            and each["kind"] != "Lease"
        }


def strangers(namespace: str) -> Iterator[Manifest]:
    """What lies in the namespace before anybody runs anything."""
    for api_version, kind, more in (
        ("v1", "Secret", {"stringData": {"password": "x"}}),
        ("v1", "Service", {"spec": {"ports": [{"port": 80}], "selector": {"app": "theirs"}}}),
        ("v1", "ServiceAccount", {}),
        ("networking.k8s.io/v1", "NetworkPolicy", {"spec": {"podSelector": {}}}),
        ("policy/v1", "PodDisruptionBudget", {"spec": {"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}}}),
        (names.LEASES, "Lease", {"spec": {"holderIdentity": "their controller"}}),
    ):
        for name in ("theirs", *(f"{application}-taken" for application in SERVICES)):
            metadata = {"name": name, "namespace": namespace, "labels": {"app": "theirs"}}
            yield {"apiVersion": api_version, "kind": kind, "metadata": metadata, **more}
