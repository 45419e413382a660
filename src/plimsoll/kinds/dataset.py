"""Datasets: a source that is fetched, or a command that writes files from other datasets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, ClassVar

from msgspec import Meta

from plimsoll.application.application import ApplicationSpec
from plimsoll.application.columns import require_column
from plimsoll.application.isolation import Isolated, check_isolation
from plimsoll.application.loading import ApplicationFile
from plimsoll.application.model_sources import is_package, parse_source
from plimsoll.application.parts import Code, Command, Inputs, Part, Resources
from plimsoll.application.paths import is_below, require_readable
from plimsoll.application.scalars import Duration, Name, Retention, Sha256, environment_name
from plimsoll.application.shape import suggest_name
from plimsoll.application.targets import LOCAL, check_name, target_named
from plimsoll.application.workspace import NamedCommand, NamedSource
from plimsoll.kinds import ingredients
from plimsoll.kinds.accelerators import check_accelerators, settled_resources
from plimsoll.kinds.environment import environment_step
from plimsoll.planning.keys import setting, text_digest
from plimsoll.planning.kind import Kind
from plimsoll.planning.planner import Planner, seconds
from plimsoll.planning.steps import AnyStep, Ingredient, InputFile, Work
from plimsoll.state.results import Result

REMOTE = ("https://", "http://", "s3://", "gs://")
EXTRAS = {"s3": "s3", "gs": "gcs"}
"""The extra that reads addresses of a scheme."""
REMOTE_RETRIES = 3
"""Retries of a download, because networks fail temporarily."""


class Dataset(Part, frozen=True, kw_only=True):
    """Either a source (`source`) or a step (`run`, `inputs`, `outputs`)."""

    source: (
        Annotated[
            str,
            Meta(min_length=1, description="a path, an https://, s3:// or gs:// address, or a file of a package"),
        ]
        | None
    ) = None
    sha256: Sha256 | None = None
    run: Command | None = None
    inputs: Inputs = ()
    outputs: Annotated[tuple[str, ...], Meta(description="files that the command writes to $PLIMSOLL_OUTPUT")] = ()
    code: Code = ()
    resources: Resources = Resources()
    isolation: Isolated = None
    retries: Annotated[int, Meta(ge=0, le=100)] = 0
    timeout: Duration | None = None
    target: Name | None = None
    stay: Annotated[Name, Meta(description="the target that the rows never leave, nor those made of them")] | None = (
        None
    )
    subject: (
        Annotated[
            str, Meta(min_length=1, max_length=1024, description="the column with the ids of the people of the rows")
        ]
        | None
    ) = None
    retention: Retention | None = None
    time: (
        Annotated[str, Meta(min_length=1, max_length=1024, description="the column with the times of the rows")] | None
    ) = None
    purpose: (
        Annotated[str, Meta(min_length=1, max_length=1000, description="what the rows are kept for, in words")] | None
    ) = None


def is_path(source: str) -> bool:
    """Whether a source is a file or directory of this machine, which is used where it is."""
    return "://" not in source and not is_package(source)


class FetchResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """`sha256` is the digest of the data. `source` is the path, as in the file, of a source that is used in place."""

    sha256: str = ""
    source: str | None = None


class Fetch(Work, frozen=True, kw_only=True):
    """Fetch a source to the target and check its digest. `source` is a path, an address, or a file of a package."""

    verb: ClassVar[str] = "fetch"
    result: ClassVar[type[Result]] = FetchResult
    source: str
    sha256: str | None = None

    @property
    def reads_here(self) -> bool:
        """A path is one of this machine, and packages come from the registries that its own clients ask."""
        return "://" not in self.source

    @property
    def in_place(self) -> str | None:
        """The path of a source that is used where it is; None for one that is fetched."""
        return self.source if is_path(self.source) else None

    def needed_extras(self) -> Iterator[str]:
        """Those of stores of objects."""
        scheme, _, address = self.source.partition("://")
        if address and scheme in EXTRAS:
            yield EXTRAS[scheme]


class CommandResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """The files and the figures that a command wrote."""


class RunCommand(Work, frozen=True, kw_only=True):
    """Run one command that turns inputs into outputs.

    `environment` is the key of the step that creates the environment; `None` means the caller's own python.
    `timeout` is in seconds; `None` sets no limit. `parameters` has the values of variables.
    """

    verb: ClassVar[str] = "run"
    result: ClassVar[type[Result]] = CommandResult
    command: str
    inputs: tuple[InputFile, ...] = ()
    outputs: tuple[str, ...] = ()
    environment: str | None = None
    timeout: float | None = None
    parameters: dict[str, str] = {}  # noqa: RUF012 - msgspec copies it

    @property
    def is_isolated(self) -> bool:
        """It is the user's own code."""
        return True


class DatasetKind(Kind[Dataset]):
    """`spec.datasets`."""

    key = "datasets"
    part = Dataset
    works = (Fetch, RunCommand)

    def check(self, file: ApplicationFile) -> None:
        """Check that each dataset is a source or a step, that variables are unique, and that there is no cycle."""
        datasets = self.of(file.application)
        self._check_variables(file, datasets)
        for name, part in datasets.items():
            self._check_stay(file, name, part)
            if part.time is not None and part.retention is None:
                hint = "say how long rows are kept, such as retention: 400d, or remove it"
                raise file.error(
                    "`time` is for `retention`, and there is none", hint, *self.place(name), "time", at_key=True
                )
            self._check_source(file, name, part) if part.source is not None else self._check_step(file, name, part)
        self._check_cycles(file, datasets)

    def sources(self, name: str, part: Dataset) -> Iterable[NamedSource]:
        """The source of a dataset that has one."""
        if part.source is not None and not is_package(part.source):
            at = (*self.place(name), "source")
            yield NamedSource(name=name, source=part.source, sha256=part.sha256, at=at)

    def commands(self, name: str, part: Dataset) -> Iterable[NamedCommand]:
        """The command of a dataset that has one."""
        if part.run is not None:
            yield NamedCommand(step=f"{RunCommand.verb}/{name}", command=part.run, code=part.code, at=self.place(name))

    def plan(self, name: str, part: Dataset, planner: Planner) -> AnyStep:
        """Add a step that fetches the source or runs the command."""
        if part.source is not None:
            known = planner.workspace.sources.get(name)
            # A version of a package does not change: its words say which content they mean.
            content = Ingredient(kind="input", name=name, digest=known or part.sha256 or text_digest(part.source))
            retries = max(part.retries, 0 if is_path(part.source) else REMOTE_RETRIES)
            return planner.add(name, Fetch(source=part.source, sha256=part.sha256), [content], retries=retries)
        inputs = self.inputs(planner, part.inputs)
        environment = environment_step(planner)
        work = RunCommand(
            command=part.run or "",
            inputs=inputs,
            outputs=part.outputs,
            environment=environment.key if environment else None,
            timeout=seconds(part.timeout),
            parameters=ingredients.parameter_variables(planner, f"{RunCommand.verb}/{name}"),
        )
        made_of = ingredients.of_command(planner, f"{RunCommand.verb}/{name}", work.command, inputs)
        return planner.add(
            name,
            work,
            [*made_of, setting("outputs", list(part.outputs))],
            needs=ingredients.needed_by_command(inputs, environment),
            resources=settled_resources(part.resources),
            isolation=part.isolation,
            retries=part.retries,
        )

    def inputs(self, planner: Planner, references: Iterable[str]) -> tuple[InputFile, ...]:
        """Resolve references such as `features` and `features/train.parquet` to inputs."""
        found = []
        for reference in references:
            dataset, _, file = reference.partition("/")
            step = planner.step_of(self, dataset)
            found.append(InputFile(name=dataset, step=step.name, key=step.key, file=file or None))
        return tuple(found)

    def check_reference(self, file: ApplicationFile, reference: str, *at: str | int) -> None:
        """Raise FileError for a reference to a dataset, or to a file of one, that does not exist."""
        datasets = self.of(file.application)
        name, _, inner = reference.partition("/")
        if name not in datasets:
            raise file.error(f"there is no dataset '{name}'", suggest_name(name, datasets), *at)
        outputs = datasets[name].outputs
        if inner and not is_below(inner):
            text = f"'{inner}' is not below the dataset '{name}'"
            raise file.error(text, "use a relative path without '..'", *at)
        if inner and outputs and inner not in outputs:
            raise file.error(f"'{inner}' is not among the outputs of '{name}'", suggest_name(inner, outputs), *at)

    def check_inputs(self, file: ApplicationFile, references: Iterable[str], *at: str | int) -> None:
        """Raise FileError for inputs that do not exist, and for two that would share a variable."""
        variables: dict[str, str] = {}
        for number, reference in enumerate(references):
            self.check_reference(file, reference, *at, number)
            name = reference.partition("/")[0]
            variable = f"PLIMSOLL_INPUT_{environment_name(name)}"
            if variable in variables:
                text = f"'{variables[variable]}' and '{reference}' would share the variable {variable}"
                raise file.error(text, f"use the whole dataset: inputs: [{name}]", *at, number)
            variables[variable] = reference

    def source_of(self, application: ApplicationSpec, reference: str) -> str:
        """The file that a reference names: a file of a dataset, or the source of a dataset that is a single file."""
        return reference if "/" in reference else self.of(application)[reference].source or ""

    def _check_variables(self, file: ApplicationFile, names: Iterable[str]) -> None:
        seen: dict[str, str] = {}
        for name in names:
            variable = environment_name(name)
            if variable in seen:
                text = f"'{name}' and '{seen[variable]}' would share the variable PLIMSOLL_INPUT_{variable}"
                raise file.error(text, "rename one of them", *self.place(name), at_key=True)
            seen[variable] = name

    def _check_stay(self, file: ApplicationFile, name: str, part: Dataset) -> None:
        """Check that rows that stay are of a target of the file, and are not made on another one."""
        if part.stay is None:
            return
        at, application = (*self.place(name), "stay"), file.application
        check_name(file, part.stay, *at)
        stays_elsewhere = target_named(application, part.stay) != LOCAL
        if part.source is not None and "://" in part.source and part.sha256 is None and stays_elsewhere:
            text = f"this machine would have to read {part.source} to know what is there, and it stays on '{part.stay}'"
            raise file.error(text, "set `sha256`: the address is then read there alone", *at)
        if part.target is None or target_named(application, part.target) == target_named(application, part.stay):
            return
        text = f"dataset '{name}' stays on '{part.stay}', and would be made on '{part.target}'"
        raise file.error(text, f"write target: {part.stay}, or leave the target out", *at)

    def _check_source(self, file: ApplicationFile, name: str, part: Dataset) -> None:
        at, source = self.place(name), part.source or ""
        if part.run is not None:
            text = f"dataset '{name}' has both `source` and `run`"
            raise file.error(text, "keep one of the two", *at, at_key=True)
        for unused in ("inputs", "outputs", "code"):
            if getattr(part, unused):
                raise file.error(f"`{unused}` is only for a dataset with `run`", "remove it", *at, unused, at_key=True)
        if part.isolation is not None:
            text = "`isolation` is for a command, and a source is fetched by Plimsoll itself"
            raise file.error(text, "remove it", *at, "isolation", at_key=True)
        if source.startswith(REMOTE):
            return
        if is_package(source):
            try:
                parse_source(source)
            except ValueError as error:
                hint = "see the forms in docs/models.md, such as npm:NAME@VERSION#*.csv"
                raise file.error(str(error), hint, *at, "source") from error
            return
        if "://" in source:
            text = f"sources of {source.partition('://')[0]}:// are not supported"
            raise file.error(text, f"use a path, or one of {', '.join(REMOTE)}", *at, "source")
        require_readable(file, "the source", source, *at, "source")
        for key, column in (("subject", part.subject), ("time", part.time)):
            if column is not None:
                require_column(file, source, column, *at, key)

    def _check_step(self, file: ApplicationFile, name: str, part: Dataset) -> None:
        at = self.place(name)
        if part.run is None:
            text = f"dataset '{name}' has neither `source` nor `run`"
            raise file.error(text, "give it one of the two", *at, at_key=True)
        check_accelerators(file, part.resources, *at)
        if part.sha256 is not None:
            hint = "remove it: the results of steps are identified by their content"
            raise file.error("`sha256` is only for a `source`", hint, *at, "sha256", at_key=True)
        if not part.outputs:
            text = f"dataset '{name}' has no `outputs`"
            raise file.error(text, "list the files that the command writes", *at, at_key=True)
        for number, output in enumerate(part.outputs):
            if not is_below(output):
                text = f"the output '{output}' is not below $PLIMSOLL_OUTPUT"
                raise file.error(text, "use a relative path without '..'", *at, "outputs", number)
        self.check_inputs(file, part.inputs, *at, "inputs")
        check_isolation(file, part.isolation, *at)

    def _check_cycles(self, file: ApplicationFile, datasets: Mapping[str, Dataset]) -> None:
        settled: set[str] = set()

        def follow(name: str, path: tuple[str, ...]) -> None:
            if name in path:
                cycle = " → ".join((*path[path.index(name) :], name))
                text = f"these datasets need each other: {cycle}"
                raise file.error(text, "remove one of these inputs", *self.place(name), "inputs")
            if name not in settled:
                for reference in datasets[name].inputs:
                    follow(reference.partition("/")[0], (*path, name))
                settled.add(name)

        for name in datasets:
            follow(name, ())


DATASETS = DatasetKind()
