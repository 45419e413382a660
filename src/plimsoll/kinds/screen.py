"""Screens: what is looked for in the rows that a training is about to learn from, and the bounds that let it begin."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, ClassVar

from msgspec import Meta, to_builtins

from plimsoll.application.isolation import Isolated, check_isolation
from plimsoll.application.loading import ApplicationFile
from plimsoll.application.parts import Part, Resources
from plimsoll.application.scalars import Bound, Duration, Name
from plimsoll.application.shape import suggest_name
from plimsoll.kinds import ingredients
from plimsoll.kinds.dataset import DATASETS
from plimsoll.kinds.tables import check_table, extras_of_table
from plimsoll.planning.keys import setting
from plimsoll.planning.kind import Kind
from plimsoll.planning.planner import Planner, seconds
from plimsoll.planning.steps import AnyStep, FeatureRequest, InputFile, Work
from plimsoll.screens.figures import FIGURES, NEEDS_LABEL, Finding
from plimsoll.screens.order import DEFAULT_ROWS, MOST_ROWS
from plimsoll.state.results import Result

SCREENS_ROWS = "screens-rows"
"""The feature of targets that look at rows where they lie."""
Column = Annotated[str, Meta(min_length=1, max_length=1024)]


class Screen(Part, frozen=True, kw_only=True):
    """A table that trainings learn from, and what is looked for in it before any of them begins."""

    table: Annotated[str, Meta(description="the table that trainings read, as name/file")]
    label: Annotated[Column, Meta(description="the column with the classes")] | None = None
    test: (
        Annotated[
            str,
            Meta(description="a table of rows that are held out; else those that a column part or split says are"),
        ]
        | None
    ) = None
    ignore: Annotated[
        tuple[Column, ...], Meta(description="columns that trainings do not learn from, such as ids")
    ] = ()
    personal: Annotated[tuple[Column, ...], Meta(description="columns that may have personal data")] = ()
    rows: Annotated[int, Meta(ge=100, le=MOST_ROWS, description="rows that are read, evenly spread")] = DEFAULT_ROWS
    accept: Annotated[
        dict[str, Bound], Meta(description="bounds on figures of the screen; a training begins when all hold")
    ] = {}  # noqa: RUF012 - msgspec copies it
    timeout: Duration = "10m"
    resources: Resources = Resources()
    isolation: Isolated = None
    target: Name | None = None


class ScreenResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """What a screen that passed has found; `metrics` are its figures. As `screens.figures.Screening`.

    `bounds` are those that held, and `sha256` is the digest of the whole report.
    """

    table: str = ""
    rows: int = 0
    held_out: int = 0
    bounds: dict[str, str] = {}  # noqa: RUF012 - msgspec copies it
    unmeasured: dict[str, str] = {}  # noqa: RUF012 - msgspec copies it
    first: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    sha256: str = ""

    def figure(self) -> str:
        """The figures that are not nought, or that all are."""
        told = [f"{name} {value:.3g}" for name, value in self.metrics.items() if value]
        return f"{self.rows} rows: {', '.join(told) or 'nothing found'}"

    def summary(self) -> Mapping[str, object]:
        """The entry in `--json`."""
        return {
            "table": self.table,
            "rows": self.rows,
            "held_out": self.held_out,
            "figures": self.metrics,
            "accept": self.bounds,
            "unmeasured": self.unmeasured,
            "findings": to_builtins(self.findings),
        }


class ScreenRows(Work, frozen=True, kw_only=True):
    """Look at the rows of a table, and hold what is found against bounds. `timeout` is in seconds."""

    verb: ClassVar[str] = "screen"
    result: ClassVar[type[Result]] = ScreenResult
    screen: str
    table: InputFile
    test: InputFile | None = None
    label: str = ""
    ignore: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    rows: int = DEFAULT_ROWS
    accept: dict[str, str] = {}  # noqa: RUF012 - msgspec copies it
    timeout: float | None = None

    @property
    def inputs(self) -> tuple[InputFile, ...]:
        """The tables."""
        return (self.table, *([self.test] if self.test is not None else []))

    @property
    def is_isolated(self) -> bool:
        """It reads files of others."""
        return True

    def needed_features(self) -> Iterator[FeatureRequest]:
        """Rows are looked at where they lie."""
        yield FeatureRequest(
            feature=SCREENS_ROWS,
            setting=("table",),
            asks="looks at rows where they lie",
            remedy="run it where a screen can be: plimsoll run --target local, or target: local",
        )

    def needed_extras(self) -> Iterator[str]:
        """What rows are compared with, and the format of the tables."""
        yield "screens"
        for table in self.inputs:
            yield from extras_of_table(table)


class ScreenKind(Kind[Screen]):
    """`spec.screens`."""

    key = "screens"
    part = Screen
    works = (ScreenRows,)

    def check(self, file: ApplicationFile) -> None:
        """Check that the tables exist, that figures do, and that what a bound is about can be measured."""
        for name, part in self.of(file.application).items():
            at = self.place(name)
            check_table(file, part.table, "a screen looks at", *at, "table")
            check_isolation(file, part.isolation, *at)
            if part.test is not None:
                check_table(file, part.test, "a screen compares with", *at, "test")
                if part.test == part.table:
                    hint = "name the rows that are held out, or have a column part or split say which are"
                    raise file.error("`test` is the same table", hint, *at, "test")
            for figure in part.accept:
                if figure not in FIGURES:
                    hint = suggest_name(figure, FIGURES) or f"figures are {', '.join(FIGURES)}"
                    raise file.error(f"there is no figure '{figure}'", hint, *at, "accept", figure, at_key=True)
                if figure in NEEDS_LABEL and part.label is None:
                    text = f"`{figure}` is about labels, and the screen names none"
                    raise file.error(text, "add `label: COLUMN`", *at, "accept", figure, at_key=True)

    def plan(self, name: str, part: Screen, planner: Planner) -> AnyStep:
        """Add the step."""
        tables = DATASETS.inputs(planner, [part.table, *([part.test] if part.test is not None else [])])
        work = ScreenRows(
            screen=name,
            table=tables[0],
            test=tables[1] if part.test is not None else None,
            label=part.label or "",
            ignore=part.ignore,
            allowed=part.personal,
            rows=part.rows,
            accept=part.accept,
            timeout=seconds(part.timeout),
        )
        said = {"label": work.label, "ignore": list(part.ignore), "personal": list(part.personal), "rows": part.rows}
        return planner.add(
            name,
            work,
            [*map(ingredients.of_input, tables), setting("screen", said), setting("accept", part.accept)],
            needs=tuple(each.step for each in tables),
            resources=part.resources,
            isolation=part.isolation,
        )

    def at_the_door(self, planner: Planner, inputs: Iterable[InputFile]) -> tuple[AnyStep, ...]:
        """The screens of what a training is given, and of all that this was made of."""
        made_of = set[str]()
        left = [each.step for each in inputs]
        while left:
            step = left.pop()
            if step not in made_of:
                made_of.add(step)
                left += planner.steps[step].needs
        found = []
        for name in self.of(planner.application):
            screen = planner.step_of(self, name)
            assert isinstance(screen.work, ScreenRows)  # noqa: S101 - nothing else is a screen
            if screen.work.table.step in made_of:
                found.append(screen)
        return tuple(found)


SCREENS = ScreenKind()
