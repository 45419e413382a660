"""From a file to a plan that can run: load, check, read the target's facts, plan, and check that every step fits."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from plimsoll.application.application import ApplicationSpec
from plimsoll.application.encryption_checks import check_clusters
from plimsoll.application.loading import ApplicationFile
from plimsoll.application.parameters import with_settings
from plimsoll.application.targets import names_of_targets, target_named
from plimsoll.application.workspace import Workspace
from plimsoll.engine.encrypting import ensure_encryption, key_of_pods
from plimsoll.engine.erasing.marks import read_marks
from plimsoll.engine.policies.rules_engine import missing_engine
from plimsoll.engine.run_comparison import ingredients_by_step, planned_run
from plimsoll.errors import FileError, PlimsollError, TargetError
from plimsoll.evidence.run_events import RunPlanned
from plimsoll.evidence.secrets import remember
from plimsoll.kinds.environment import MakeEnvironment
from plimsoll.kinds.table import KINDS, Kinds
from plimsoll.planning.capacity import Shortfall, shortfalls
from plimsoll.planning.changes import Decision, because_of, decisions
from plimsoll.planning.facts import TargetFacts
from plimsoll.planning.placement import COMMAND, placed, rows_that_would_leave, staying
from plimsoll.planning.selection import named_steps, select_steps
from plimsoll.planning.steps import Ingredient, Plan
from plimsoll.state.directory import LOCAL, StateDirectory
from plimsoll.targets.features import CONTAINER_IMAGES, PLAN_CHECK, RIGHTS
from plimsoll.targets.options import TargetOptions
from plimsoll.targets.port import Target
from plimsoll.targets.several.target import SeveralTarget
from plimsoll.targets.table import several_of, target_of


class Prepared(Struct, frozen=True, kw_only=True):
    """An application that is ready to run: file, plan, facts and target.

    `forced` are the names of the steps that are carried out again although their results are there.
    """

    file: ApplicationFile
    plan: Plan
    facts: TargetFacts
    target: Target
    kinds: Kinds = KINDS
    forced: frozenset[str] = frozenset()

    @property
    def state(self) -> StateDirectory:
        """The state directory, on this machine, of runs on the target."""
        return self.target.state


def prepare(
    path: Path,
    target: str | Target | None = LOCAL,
    options: TargetOptions | None = None,
    kinds: Kinds = KINDS,
    *,
    settings: Sequence[str] = (),
    steps: Sequence[str] = (),
    force: Sequence[str] = (),
    must_fit: bool = True,
) -> Prepared:
    """Load and plan an application file for a target, given by name or as an object; None for where its parts say.

    `settings` change parameters, such as `lr=0.1`. `steps` name the steps to plan, with all that they need; without
    them all are. `force` names steps that run again although their results are there. Without `must_fit`, a plan is
    given that could not run on the target.

    Raises FileError for a mistake in the file or a step that requests more than the target has, and TargetError when
    the target cannot be reached; ParameterError for a setting that does not fit the file.
    """
    file = with_parameters(kinds.load(path), settings)
    remember(msgspec.to_builtins(file.application))
    if target is not None and not isinstance(target, str):
        kinds.check(file, None if isinstance(target, SeveralTarget) else target.name)
        return _forcing(_prepared(kinds, file, target, steps, must_fit=must_fit), force)
    several = target is None and len(kinds.targets(file)) > 1
    kinds.check(file, None if several else target or LOCAL)
    check_clusters(file, kinds.targets(file) if several else [target_named(file.application, target or LOCAL)])
    made = target_for(file, target, options, kinds)
    try:
        return _forcing(_prepared(kinds, file, made, steps, must_fit=must_fit), force)
    except BaseException:
        # Whoever asked gets no target that could be closed.
        made.close()
        raise


def with_parameters(file: ApplicationFile, settings: Sequence[str]) -> ApplicationFile:
    """The file with parameters as `settings` change them. Raises ParameterError."""
    values = with_settings(file.application.parameters, settings)
    return replace(file, application=replace(file.application, parameters=values))


def _prepared(kinds: Kinds, file: ApplicationFile, target: Target, steps: Sequence[str], *, must_fit: bool) -> Prepared:
    facts = target.facts()
    whole = planned(kinds, file, kinds.workspace(file, target.state.digests), facts)
    plan = select_steps(whole, steps)
    _check_features(file, facts, plan)
    names = names_of_targets(file.application)
    lacking = (*rows_that_would_leave(plan, names), *(shortfalls(plan, facts) if must_fit else ()))
    lacking = (*lacking, *(missing_engine(file) if must_fit else ()))
    if must_fit and not lacking and PLAN_CHECK in target.features:
        lacking = tuple(target.features.require(PLAN_CHECK)(plan))
    if lacking:
        raise _shortfall_error(kinds, file, lacking[0])
    return Prepared(file=file, plan=plan, facts=facts, target=target, kinds=kinds)


def planned(kinds: Kinds, file: ApplicationFile, workspace: Workspace, facts: TargetFacts) -> Plan:
    """The plan of a checked file, with the target of each step where there are several. Pure."""
    plan = kinds.plan(file, workspace, facts)
    named = kinds.named(file, plan)
    return placed(plan, named, kinds.targets(file), LOCAL) if facts.parts else staying(plan, named)


def _forcing(prepared: Prepared, words: Sequence[str]) -> Prepared:
    """The same with steps to be carried out again. Raises FileError for a word that names none, and for environments.

    Other applications with the same requirements use the same environment, perhaps at this moment.
    """
    forced = named_steps(prepared.plan, words, "--force")
    for step in prepared.plan.steps:
        if step.name in forced and isinstance(step.work, MakeEnvironment):
            text = f"{step.name} is shared by all applications with the same requirements, and is not made anew for one"
            raise FileError(text, where="--force", hint="change the requirements, or delete the environment by hand")
    return replace(prepared, forced=frozenset(forced))


def target_for(
    file: ApplicationFile, name: str | None, options: TargetOptions | None = None, kinds: Kinds = KINDS
) -> Target:
    """The target that a name of the file stands for; without one, all targets on which the file has parts.

    Raises the errors of `targets.table.target_of`, and those of `ensure_encryption`.
    """
    ensure_encryption(file)
    application = file.application
    asked = replace(options or TargetOptions(), image=application.environment.image, **key_of_pods(file))
    if name is not None:
        if (known := application.targets.get(name)) is not None and known.devices is not None:
            text = f"the target '{name}' is devices at the edge, and a run cannot be on them"
            raise FileError(text, where="--target", hint="send releases to a group: plimsoll edge rollout GROUP")
        target = target_named(application, name)
        return target_of(target, file.directory, application.name, _options_of(application, target, name, asked))
    names = kinds.targets(file)
    if len(names) == 1:
        return target_of(LOCAL, file.directory, application.name, asked)

    def options_of(target: str) -> TargetOptions:
        return _options_of(application, target, names[target], asked) if target != LOCAL else TargetOptions()

    return several_of(names, file.directory, application.name, options_of)


def _options_of(application: ApplicationSpec, target: str, name: str, asked: TargetOptions) -> TargetOptions:
    """The options of a target: those of the command line, and else what the file says of it."""
    # A context may be named as well as what the file calls it.
    named = application.targets.get(name) or application.targets.get(names_of_targets(application).get(target, ""))
    if named is None or target == LOCAL:
        return asked
    called = name if name in application.targets else names_of_targets(application)[target]
    return replace(
        asked,
        namespace=asked.namespace or named.namespace,
        registry=asked.registry or named.route,
        identity=named.identity,
        sagemaker=named.sagemaker,
        called=called,
    )


def missing_rights(prepared: Prepared) -> Sequence[str]:
    """The rights that a run would lack, one sentence each."""
    features = prepared.target.features
    return features.require(RIGHTS).missing(prepared.plan) if RIGHTS in features else ()


def require_rights(prepared: Prepared) -> None:
    """Raise TargetError for rights that a run lacks, all of them at once and before anything is made."""
    lacking = missing_rights(prepared)
    if not lacking:
        return
    named = "".join(f"\n  {each}" for each in lacking)
    count = f"{len(lacking)} {'rights' if len(lacking) > 1 else 'right'}"
    raise TargetError(
        f"the run lacks {count} on {prepared.target.name}:{named}",
        hint="'plimsoll run --print-rbac' prints what gives them",
        lasting=True,
    )


def decide(prepared: Prepared) -> tuple[Decision, ...]:
    """Decide for each step whether a run would execute it, and why."""
    session = prepared.target.open("plan", watch=False)
    try:
        done = [step.name for step in prepared.plan.steps if session.result(step) is not None]
    finally:
        session.close()
    made = decisions(prepared.plan, last_ingredients(prepared.state), done, prepared.forced)
    return because_of(made, marked_steps(prepared.state))


def last_ingredients(state: StateDirectory) -> dict[str, list[Ingredient]]:
    """The ingredients of each step in the last run; empty without a run."""
    planned = _last_planned(state)
    return ingredients_by_step(planned) if planned is not None else {}


def marked_steps(state: StateDirectory) -> dict[str, str]:
    """The steps of the last run that had rows of somebody who was erased, each with the reason to make it anew."""
    marks = read_marks(state).keys
    planned = _last_planned(state) if marks else None
    return {step.name: marks[step.key].why for step in planned.steps if step.key in marks} if planned else {}


def _last_planned(state: StateDirectory) -> RunPlanned | None:
    for run in reversed(state.run_ids()):
        with contextlib.suppress(PlimsollError):
            # A damaged journal says nothing; the run before does.
            # A sweep begins without steps.
            if (planned := planned_run(state, run)) and planned.steps:
                return planned
    return None


def _check_features(file: ApplicationFile, facts: TargetFacts, plan: Plan) -> None:
    """Raise FileError for a feature that the file requires and the target lacks, of several that of a command."""
    if file.application.environment.image is None:
        return
    used = {step.target for step in plan.steps if any(each.kind == COMMAND for each in step.ingredients)}
    for each in [facts.of(target) for target in sorted(used)] if facts.parts else [facts]:
        if CONTAINER_IMAGES in each.lacks:
            text = f"{each.target} cannot run commands in an image: {each.lacks[CONTAINER_IMAGES]}"
            hint = "use `requirements` instead, or neither to run with your own python"
            raise file.error(text, hint, "spec", "environment", "image", at_key=True)


def _shortfall_error(kinds: Kinds, file: ApplicationFile, lacking: Shortfall) -> FileError:
    if not lacking.step:
        return file.error(lacking.message, lacking.remedy, *lacking.setting)
    verb, _, part = lacking.step.partition("/")
    if lacking.at_key:
        place = kinds.part_place(verb, part)
        return file.error(lacking.message, lacking.remedy, *place, at_key=True)
    return file.error(lacking.message, lacking.remedy, *kinds.place(verb, part), *lacking.setting)
