"""The contents of a report, independent of its output format. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping

from msgspec import Struct

from plimsoll.engine.history import RunHistory, StepHistory, WorkerHistory
from plimsoll.supply.model_card import ModelCard


class ModelReport(Struct, frozen=True, kw_only=True):
    """One registered model. `data` and `code` are digests by name; `refusals` say which bounds it misses.

    `commit` is that of the application's repository when the training began, with what is to be said of it.
    `source` is where a model that was not trained here is from; `licence_from` says who says its licence. `base` is the
    version that an adapter is of, and `adapter` what it is. `card` is None when it cannot be read.
    """

    name: str
    version: int
    digest: str
    framework: str
    created: str
    author: str
    command: str
    environment: str
    metrics: Mapping[str, float]
    accept: Mapping[str, str] = {}
    refusals: tuple[str, ...] = ()
    data: Mapping[str, str] = {}
    code: Mapping[str, str] = {}
    commit: str = ""
    signed_by: str = ""
    source: str = ""
    format: str = ""
    licence: str = ""
    licence_from: str = ""
    base: str = ""
    adapter: str = ""
    card: ModelCard | None = None


class BaselineComparison(Struct, frozen=True, kw_only=True):
    """A metric beside a baseline. `better` is `None` when the metric's name does not tell which way is better."""

    metric: str
    baseline: str
    value: float
    baseline_value: float
    better: bool | None

    @property
    def sentence(self) -> str:
        """The comparison in words, also when the model is worse."""
        difference = abs(self.value - self.baseline_value)
        name = self.baseline.replace("_", " ")
        if difference < 1e-12:
            return f"the same as {name}"
        if self.better is None:
            return f"{self.value - self.baseline_value:+.3g} against {name}"
        return f"{difference:.3g} {'better' if self.better else 'worse'} than {name}"


LESS_IS_BETTER = ("loss", "error", "rmse", "mae", "mse", "perplexity", "seconds", "latency")
MORE_IS_BETTER = ("accuracy", "f1", "precision", "recall", "auc", "r2", "score", "bleu", "ndcg")
BASELINE = "baseline_"


def comparisons(metrics: Mapping[str, float]) -> tuple[BaselineComparison, ...]:
    """Compare every metric with its baselines: `baseline_<name>_<metric>` is the baseline `name` of `metric`."""
    found = []
    plain = sorted((name for name in metrics if not name.startswith(BASELINE)), key=len, reverse=True)
    for name, value in metrics.items():
        if not name.startswith(BASELINE):
            continue
        metric = next((one for one in plain if name.endswith(f"_{one}")), None)
        if metric is not None:
            baseline = name.removeprefix(BASELINE).removesuffix(f"_{metric}")
            better = _better(metric, metrics[metric], value)
            found.append(
                BaselineComparison(
                    metric=metric, baseline=baseline, value=metrics[metric], baseline_value=value, better=better
                )
            )
    return tuple(found)


def plain_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics that are not baselines."""
    return {name: value for name, value in metrics.items() if not name.startswith(BASELINE)}


def _better(metric: str, value: float, baseline: float) -> bool | None:
    if any(word in metric for word in LESS_IS_BETTER):
        return value < baseline
    return value > baseline if any(word in metric for word in MORE_IS_BETTER) else None


def load_line(run: RunHistory) -> str:
    """The run in one sentence: how many steps ran, were unchanged, and failed."""
    count = {state: sum(step.state == state for step in run.steps) for state in ("failed", "skipped", "stopped")}
    cached = sum(step.cached for step in run.steps)
    done = sum(step.state == "done" for step in run.steps) - cached
    parts = [f"{done} of {len(run.steps)} steps ran"]
    parts += [f"{cached} unchanged"] if cached else []
    parts += [f"{number} {state}" for state, number in count.items() if number]
    took = f" in {duration(run.seconds)}" if run.seconds else ""
    return f"{', '.join(parts)}{took}"


def journeys(run: RunHistory) -> list[str]:
    """What travelled between targets, one sentence each."""
    return [
        f"{each.step} went from {run.name_of(each.origin)} to {run.name_of(each.to)}: "
        f"{amount(each.size)}{f', {each.digest[:19]}' if each.digest else ''}"
        for each in run.carried
    ]


def duration(seconds: float) -> str:
    """Format a duration."""
    if not math.isfinite(seconds):
        return "–"
    if 0 < seconds < 0.00995:
        return f"{seconds * 1000:.2g} ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def number(value: float) -> str:
    """Format a number."""
    if not math.isfinite(value):
        return str(value)
    return f"{value:.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.4g}"


def amount(size: float) -> str:
    """Format a number of bytes."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError


def outcome(step: StepHistory) -> str:
    """The outcome of a step in a few words."""
    if step.state != "done":
        return step.reason.splitlines()[0] if step.reason else ""
    if figure := step.result.figure():
        return figure
    outputs = step.result.outputs
    if not outputs:
        return ""
    return f"{len(outputs)} file{'s' if len(outputs) != 1 else ''}, {amount(sum(file.size for file in outputs))}"


def worker_end(worker: WorkerHistory, run: RunHistory, live: frozenset[int]) -> str:
    """How a process ended. `live` are the process ids of the services that run now."""
    if worker.signal:
        return f"signal {worker.signal}"
    if worker.code is not None:
        return f"status {worker.code}"
    if worker.ended:
        return "not seen"
    if run.state == "running" or worker.pid in live:
        return "still running"
    if not worker.pid:
        # A pod may go on when nobody watches it any more.
        return "not seen"
    # A server that a run keeps ends when it is told to, and nobody waits to record how.
    return "stopped after the run" if run.state == "done" else "stopped with the run"


def layers(run: RunHistory) -> list[list[StepHistory]]:
    """Group steps by their depth in the plan: the columns of the flow."""
    depth: dict[str, int] = {}
    for step in run.steps:
        depth[step.name] = 1 + max((depth.get(name, -1) for name in step.needs), default=-1)
    columns: list[list[StepHistory]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for step in run.steps:
        columns[depth[step.name]].append(step)
    return columns
