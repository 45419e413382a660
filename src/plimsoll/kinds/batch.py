"""Batches: score a table row by row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar

from msgspec import Meta

from plimsoll.application.isolation import Isolated, check_isolation
from plimsoll.application.loading import ApplicationFile
from plimsoll.application.parts import Part, Resources
from plimsoll.application.scalars import ModelReference, Name
from plimsoll.kinds import ingredients
from plimsoll.kinds.accelerators import check_accelerators, settled_resources
from plimsoll.kinds.dataset import DATASETS
from plimsoll.kinds.model import MODELS
from plimsoll.kinds.tables import check_table, extras_of_table
from plimsoll.planning.keys import setting
from plimsoll.planning.kind import Kind
from plimsoll.planning.planner import Planner
from plimsoll.planning.steps import AnyStep, Ingredient, InputFile, Work
from plimsoll.runtime.own_code import digest_of_scorer
from plimsoll.state.results import Result


class Batch(Part, frozen=True, kw_only=True):
    """A batch: a model and the table that it scores row by row."""

    model: ModelReference
    input: Annotated[str, Meta(description="a CSV or Parquet file of a dataset, as name/file")]
    label: Annotated[
        str | None, Meta(description="the column of the input that has the true labels, for the report")
    ] = None
    prediction: Annotated[
        str | None, Meta(description="with label: the column of the result that is compared with it")
    ] = None
    resources: Resources = Resources()
    isolation: Isolated = None
    target: Name | None = None


class ScoreResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """The number of scored rows, the version that scored them, and the duration in seconds."""

    model: str = ""
    rows: int = 0
    seconds: float = 0.0

    def figure(self) -> str:
        """The number of rows."""
        return f"{self.rows} rows"

    def summary(self) -> Mapping[str, object]:
        """The entry in `--json`."""
        return {"model": self.model, "rows": self.rows, "seconds": self.seconds}


class Score(Work, frozen=True, kw_only=True):
    """Score a file with a model in bounded memory.

    `model` is a name, or `name@version`. `register_key` is the key of the step that registers it in this plan; `None`
    when the file pins a version. `label` and `prediction` are columns that are compared with each other.
    """

    verb: ClassVar[str] = "score"
    result: ClassVar[type[Result]] = ScoreResult
    kept_here: ClassVar[bool] = True
    batch: str
    model: str
    input: InputFile
    register_key: str | None = None
    label: str | None = None
    prediction: str | None = None

    @property
    def options(self) -> tuple[str, ...]:
        """The options of the scorer that compare predictions with labels."""
        named = {"--label": self.label, "--prediction": self.prediction}
        return tuple(word for option, value in named.items() if value is not None for word in (option, value))

    @property
    def is_isolated(self) -> bool:
        """A table and a model may be of strangers."""
        return True

    def needed_extras(self) -> Iterator[str]:
        """The scorer's."""
        yield "serve"
        yield from extras_of_table(self.input)


class BatchKind(Kind[Batch]):
    """`spec.batches`."""

    key = "batches"
    part = Batch
    works = (Score,)

    def check(self, file: ApplicationFile) -> None:
        """Check that the model exists and that the input is a table."""
        for name, batch in self.of(file.application).items():
            MODELS.check_reference(file, batch.model, *self.place(name), "model")
            check_table(file, batch.input, "a batch scores", *self.place(name), "input")
            check_isolation(file, batch.isolation, *self.place(name))
            check_accelerators(file, batch.resources, *self.place(name))
            if batch.prediction is not None and batch.label is None:
                hint = "name the column of the input with the true labels: label: NAME"
                raise file.error("prediction is compared with a label, and there is none", hint, *self.place(name))

    def plan(self, name: str, part: Batch, planner: Planner) -> AnyStep:
        """Add a step that scores, after the model is registered and the table exists."""
        register, made_of = MODELS.registered(planner, part.model)
        (rows,) = DATASETS.inputs(planner, (part.input,))
        key = register.key if register else None
        return planner.add(
            name,
            Score(
                batch=name,
                model=part.model,
                input=rows,
                register_key=key,
                label=part.label,
                prediction=part.prediction,
            ),
            [
                *(setting("label", [part.label, part.prediction]) for _ in range(part.label is not None)),
                *made_of,
                ingredients.of_input(rows),
                Ingredient(kind="code", name="the scorer", digest=digest_of_scorer()),
            ],
            needs=(*((register.name,) if register else ()), rows.step),
            resources=settled_resources(part.resources),
            isolation=part.isolation,
            retries=1,
        )


BATCHES = BatchKind()
