"""A run with all that its page tells of it."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from plimsoll.engine.history import RunHistory
from plimsoll.engine.sweep.trials import Sweep
from plimsoll.report.contents import ModelReport
from plimsoll.report.evaluation import Evaluation
from plimsoll.report.traffic import ServiceReport
from plimsoll.state.curves import Point


class RunReport(Struct, frozen=True, kw_only=True):
    """A run and its results, with its trials where it is a sweep.

    `curves` maps model to series to points, `versions` maps package to version.

    `evaluations` has, by model, what was predicted of labelled rows. `live` has the process ids of services that run.
    """

    history: RunHistory
    models: tuple[ModelReport, ...] = ()
    curves: Mapping[str, Mapping[str, tuple[Point, ...]]] = {}
    evaluations: Mapping[str, Evaluation] = {}
    services: tuple[ServiceReport, ...] = ()
    live: frozenset[int] = frozenset()
    versions: Mapping[str, str] = {}
    sweep: Sweep | None = None
