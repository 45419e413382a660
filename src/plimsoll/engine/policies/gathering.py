"""The facts of an application that its policies are judged on, before a plan runs and before one of its steps."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property

from msgspec.structs import replace

from plimsoll.application.loading import ApplicationFile
from plimsoll.application.policies import Policies
from plimsoll.engine.policies.model_facts import EVERYTHING, model_facts
from plimsoll.engine.policies.uses import Use, has_environment, uses_of
from plimsoll.errors import PlimsollError, without_queries
from plimsoll.evidence.secrets import without_secrets
from plimsoll.kinds.environment import MakeEnvironment
from plimsoll.kinds.model import MODELS
from plimsoll.kinds.register import RegisterResult
from plimsoll.kinds.table import Kinds
from plimsoll.planning.steps import AnyStep, InputFile, Plan
from plimsoll.policy.facts import (
    EnvironmentFacts,
    Facts,
    ImageFacts,
    LaterFacts,
    ModelFacts,
    PackageFacts,
    SourceFacts,
    Stage,
    StepFacts,
    VulnerabilityFacts,
)
from plimsoll.registry.versions import ModelVersion
from plimsoll.state.directory import StateDirectory
from plimsoll.supply.advisories import Database, read_database
from plimsoll.supply.vulnerabilities import Scanned, scan_packages
from plimsoll.targets.models import model_registry
from plimsoll.targets.supplies import environment_packages


class Gatherer:
    """Gathers what the policies of one file ask about; what is looked at once is kept."""

    def __init__(self, file: ApplicationFile, kinds: Kinds, plan: Plan | None, state: StateDirectory) -> None:
        self.file = file
        self._kinds = kinds
        self._plan = plan
        self._state = state
        self._models: dict[str, ModelFacts] = {}
        self._environment: EnvironmentFacts | None = None

    @property
    def policies(self) -> Policies:
        """What is asked."""
        return self.file.application.policies

    @property
    def wanted(self) -> Collection[str]:
        """What is looked at of a version; rules may ask about everything."""
        return EVERYTHING if self.policies.rules is not None else {*self.policies.chain.require}

    @cached_property
    def database(self) -> Database | None:
        """The advisories that the file names. Raises FileError when they cannot be read."""
        wanted = self.policies.chain.vulnerabilities
        return read_database(self.file.directory / wanted.database) if wanted is not None else None

    def of_plan(self) -> Facts:
        """All that is known before anything begins."""
        models, later = self._versions(self._steps)
        return replace(self._common("plan"), models=models, later=later, environment=self.environment(self._steps))

    def of_step(self, step: AnyStep) -> Facts:
        """What is known when a step is about to begin: everything that it needs is there."""
        models, later = self._versions([step])
        environment = self.environment([step], made=True)
        return replace(
            self._common("step"), step=step.name, models=models, later=later, environment=environment, sources=()
        )

    def of_version(self, version: ModelVersion, stage: Stage, used_by: Sequence[str] = ()) -> Facts:
        """What is known of one version that somebody names."""
        place = self._place_of_model(version.name)
        facts = self._facts(version, place, used_by)
        sources = tuple(each for each in self._sources() if each.model == version.name)
        return Facts(
            stage=stage,
            application=self.file.application.name,
            file=str(self.file.path),
            models=(facts,),
            sources=sources,
        )

    def environment(self, steps: Iterable[AnyStep], *, made: bool = False) -> EnvironmentFacts | None:
        """The environment that code in these steps runs with; None where none does."""
        if not any(map(has_environment, steps)):
            return None
        if self._environment is None or self._environment.packages is None:
            self._environment = self._read_environment()
        return replace(self._environment, until="") if made else self._environment

    def _read_environment(self) -> EnvironmentFacts:
        found = environment_packages(self.file)
        making = next((step.name for step in self._steps if isinstance(step.work, MakeEnvironment)), "")
        word = "image" if self.file.application.environment.image else "requirements"
        packages = None
        if found.packages is not None:
            wanted = self.policies.chain.vulnerabilities
            complete = wanted.complete if wanted is not None else False
            packages = tuple(map(_package, scan_packages(found.packages, self.database, complete=complete)))
        return EnvironmentFacts(
            name=found.name,
            place=self.file.where("spec", "environment", word),
            packages=packages,
            gap=found.gap,
            until=making if packages is None else "",
        )

    @property
    def _steps(self) -> tuple[AnyStep, ...]:
        return self._plan.steps if self._plan is not None else ()

    def _common(self, stage: Stage) -> Facts:
        return Facts(
            stage=stage,
            application=self.file.application.name,
            file=str(self.file.path),
            target=self._plan.target if self._plan is not None else "",
            steps=tuple(map(self._step, self._steps)),
            images=tuple(self._images()),
            sources=tuple(self._sources()),
        )

    def _step(self, step: AnyStep) -> StepFacts:
        work, resources = step.work, step.resources
        inputs = getattr(work, "inputs", ())
        return StepFacts(
            name=step.name,
            verb=step.verb,
            part=step.part,
            place=self.file.where(*self._kinds.part_place(step.verb, step.part)),
            needs=step.needs,
            inputs=tuple(each.name for each in inputs if isinstance(each, InputFile)),
            workers=step.workers,
            target=step.target,
            stays=step.stays,
            command=without_secrets(without_queries(str(getattr(work, "command", "")))),
            framework=str(getattr(work, "framework", "")),
            cpu=resources.cpu,
            memory=resources.memory,
            accelerators=resources.accelerators,
        )

    def _images(self) -> Iterator[ImageFacts]:
        image = self.file.application.environment.image
        if image is not None:
            yield ImageFacts(image=image, of="environment", place=self.file.where("spec", "environment", "image"))

    def _sources(self) -> Iterator[SourceFacts]:
        for name, model in MODELS.of(self.file.application).items():
            if model.source is not None:
                # The query of an address may be a signature, which lets whoever has it in.
                source = model.source.partition("?")[0] if "://" in model.source else model.source
                yield SourceFacts(
                    model=name,
                    source=without_secrets(source),
                    place=self.file.where(*MODELS.place(name), "source"),
                    sha256=model.sha256 or "",
                    licence=model.licence,
                    licences=model.licences,
                )

    def _versions(self, steps: Iterable[AnyStep]) -> tuple[tuple[ModelFacts, ...], tuple[LaterFacts, ...]]:
        """The versions that steps use, and those that are not there yet."""
        registry = model_registry(self._state)
        found: dict[str, tuple[ModelVersion, str, list[str]]] = {}
        later: dict[str, tuple[str, str, list[str]]] = {}
        for step in steps:
            place = self.file.where(*self._kinds.part_place(step.verb, step.part))
            for use in uses_of(step):
                reference = self._reference(use, step)
                if reference:
                    version = registry.find(reference)
                    found.setdefault(version.reference, (version, place, []))[2].append(step.name)
                else:
                    until = self._registers(use)
                    later.setdefault(use.reference, (until, place, []))[2].append(step.name)
        models = (self._facts(version, place, used_by) for version, place, used_by in found.values())
        waits = (
            LaterFacts(name=name, until=until, used_by=tuple(used_by), place=place)
            for name, (until, place, used_by) in later.items()
        )
        return tuple(models), tuple(waits)

    def _reference(self, use: Use, step: AnyStep) -> str:
        """The version that a use is of, by its number; empty when it is not registered yet."""
        if use.key is None:
            try:
                return model_registry(self._state).find(use.reference).reference
            except PlimsollError:
                # What uses it says at its step that it is not there.
                return ""
        targets = dict.fromkeys(["", step.target, *(each.target for each in self._steps if each.key == use.key)])
        for target in targets:
            result = self._state.on(target).result(use.key, RegisterResult)
            if result is not None:
                return f"{use.reference.partition('@')[0]}@{result.version}"
        return ""

    def _registers(self, use: Use) -> str:
        return next((step.name for step in self._steps if step.key == use.key), "its registration")

    def _facts(self, version: ModelVersion, place: str, used_by: Iterable[str]) -> ModelFacts:
        if version.digest not in self._models:
            registry = model_registry(self._state)
            self._models[version.digest] = model_facts(registry, version, self.wanted)
        return replace(self._models[version.digest], place=place, used_by=tuple(used_by))

    def _place_of_model(self, name: str) -> str:
        return self.file.where(*MODELS.place(name))


def _package(scanned: Scanned) -> PackageFacts:
    package, finding = scanned.package, scanned.finding
    return PackageFacts(
        name=package.name,
        version=package.version,
        licence=package.licence,
        verdict=finding.verdict,
        reasons=finding.reasons,
        vulnerabilities=tuple(
            VulnerabilityFacts(
                id=each.id, severity=each.severity, aliases=each.aliases, summary=each.summary, fixed=each.fixed
            )
            for each in scanned.vulnerabilities
        ),
    )
