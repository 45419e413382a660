"""The table of kinds. A new kind of part is one line here and one module in this package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from plimsoll.application.application import PartTypes
from plimsoll.application.encryption_checks import check_encryption
from plimsoll.application.loading import ApplicationFile, load_file
from plimsoll.application.policy_checks import check_policies
from plimsoll.application.targets import (
    LOCAL,
    check_name,
    check_placement,
    check_targets,
    names_of_targets,
    target_named,
)
from plimsoll.application.workspace import Workspace, gather
from plimsoll.kinds.assistant import ASSISTANTS
from plimsoll.kinds.batch import BATCHES
from plimsoll.kinds.dataset import DATASETS
from plimsoll.kinds.edge import EDGES
from plimsoll.kinds.environment import MakeEnvironment, check_environment
from plimsoll.kinds.index import INDEXES
from plimsoll.kinds.llm import LLMS
from plimsoll.kinds.model import MODELS
from plimsoll.kinds.parameters import check_parameters, require_used
from plimsoll.kinds.routes import check_routes
from plimsoll.kinds.screen import SCREENS
from plimsoll.kinds.service import SERVICES
from plimsoll.planning.facts import TargetFacts
from plimsoll.planning.placement import Named
from plimsoll.planning.planner import AnyKind, plan
from plimsoll.planning.steps import Plan, Work
from plimsoll.state.results import Result

if TYPE_CHECKING:
    from pathlib import Path


class Kinds:
    """Kinds of parts, in the order in which their steps are planned, with the operations on all of them."""

    def __init__(self, *kinds: AnyKind) -> None:
        self._kinds = kinds

    def __iter__(self) -> Iterator[AnyKind]:
        return iter(self._kinds)

    def with_kinds(self, *more: AnyKind) -> Kinds:
        """A table of these kinds and more."""
        return Kinds(*self._kinds, *more)

    @cached_property
    def part_types(self) -> PartTypes:
        """The type of part of each kind."""
        return PartTypes(tuple((kind.key, kind.part) for kind in self._kinds))

    def load(self, path: Path) -> ApplicationFile:
        """Read a file and check its shape. Raises FileError."""
        return load_file(path, self.part_types)

    def check(self, file: ApplicationFile, target: str | None = "local") -> None:
        """Raise FileError for the first mistake in the file, and for parts that this version does not support.

        `target` is the name of the target of the run, and a part may name no other; None where each part is on its own,
        or nothing is run.
        """
        application = file.application
        check_targets(file)
        check_routes(file)
        for kind in self._kinds:
            for name, part in kind.of(application).items():
                for named, at in kind.placements(part):
                    if named is not None and target is None and application.targets:
                        check_name(file, named, *kind.place(name), *at)
                    elif named is not None and target is not None:
                        check_placement(file, named, target, *kind.place(name), *at)
            kind.check(file)
        check_environment(file)
        check_parameters(file)
        check_policies(file)
        check_encryption(file)

    def check_names(self, file: ApplicationFile) -> None:
        """Raise FileError for a part on a target that the file does not name: nothing else says what it stands for."""
        check_targets(file)
        for kind in self._kinds:
            for name, part in kind.of(file.application).items():
                for named, at in kind.placements(part):
                    if named is not None:
                        check_name(file, named, *kind.place(name), *at)

    def targets(self, file: ApplicationFile) -> Mapping[str, str]:
        """The targets that parts are on, or whose rows stay there, with what the file calls them; this machine first.

        Of a file that is for one target, this machine alone. Raises FileError for a name that stands for none.
        """
        application = file.application
        parts = [(kind, part) for kind in self._kinds for part in kind.of(application).values()]
        placed = [name for kind, part in parts for name, _ in kind.placements(part)]
        named = [name for name in (*placed, *(kind.stay(part) for kind, part in parts)) if name]
        used = {target_named(application, name) for name in named}
        if used - {LOCAL}:
            self.check_names(file)
        return {target: name for target, name in names_of_targets(application).items() if target in {*used, LOCAL}}

    def named(self, file: ApplicationFile, plan: Plan) -> Mapping[str, Named]:
        """What the file says of where each step is to be, by the step's name. Pure."""
        application, found = file.application, {}
        kinds = {work.verb: kind for kind in self._kinds for work in kind.works}
        for step in plan.steps:
            kind = kinds.get(step.verb)
            part = kind.of(application).get(step.part) if kind is not None else None
            if kind is None or part is None:
                continue
            target, stay = kind.target_of(part, step.work), kind.stay(part)
            found[step.name] = Named(
                target=target_named(application, target) if target else "",
                stay=target_named(application, stay) if stay else "",
            )
        return found

    def workspace(self, file: ApplicationFile, cache: Path) -> Workspace:
        """Compute the digests of everything that a checked file names; see `application.workspace.gather`.

        Raises FileError for a parameter that no command uses too.
        """
        parts = [(kind, name, part) for kind in self._kinds for name, part in kind.of(file.application).items()]
        workspace = gather(
            file,
            [source for kind, name, part in parts for source in kind.sources(name, part)],
            [command for kind, name, part in parts for command in kind.commands(name, part)],
            cache,
        )
        require_used(file, [name for names in workspace.parameters.values() for name in names])
        return workspace

    def plan(self, file: ApplicationFile, workspace: Workspace, facts: TargetFacts) -> Plan:
        """Plan a checked application. Pure."""
        return plan(self._kinds, file.application, workspace, facts)

    @cached_property
    def works(self) -> Mapping[str, type[Work]]:
        """The types of work, by verb."""
        works: list[type[Work]] = [MakeEnvironment]
        works += (work for kind in self._kinds for work in kind.works)
        return {work.verb: work for work in works}

    @cached_property
    def results(self) -> Mapping[str, type[Result]]:
        """The types of results, by verb."""
        return {verb: work.result for verb, work in self.works.items()}

    @cached_property
    def sections(self) -> Mapping[str, str]:
        """The section of `--json` for the results of a verb: the key of its kind."""
        return {work.verb: kind.key for kind in self._kinds for work in kind.works}

    def place(self, verb: str, part: str) -> tuple[str, ...]:
        """The path of keys of a step's settings in the file; `spec` for a step that belongs to no part."""
        for kind in self._kinds:
            for work in kind.works:
                if work.verb == verb:
                    return (*kind.place(part), *work.settings)
        return ("spec",)

    def part_place(self, verb: str, part: str) -> tuple[str, ...]:
        """The path of keys of a step's part in the file, which ends with the part's name."""
        for kind in self._kinds:
            if any(work.verb == verb for work in kind.works):
                return kind.place(part)
        return ("spec",)


KINDS = Kinds(DATASETS, SCREENS, MODELS, LLMS, SERVICES, BATCHES, INDEXES, ASSISTANTS, EDGES)
