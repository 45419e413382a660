"""`plimsoll erase` on a cluster: results of a person's rows leave the registry, and those of others stay."""

from __future__ import annotations

import pytest

from plimsoll.errors import PlimsollError
from plimsoll.targets.features import ROWS
from plimsoll.targets.kubernetes.results import RegistryResults
from plimsoll.targets.port import RunRequest
from tests.targets.kubernetes.bench import Bench, Carried

pytestmark = pytest.mark.slow


def test_results_of_the_rows_are_deleted_with_their_blobs_and_others_stay(bench: Bench) -> None:
    bench.does("run/people", lambda pod: pod.leave(rows_csv="card\nholder-4711\n"))
    target = bench.target()
    session = bench.session(target)
    step, other = bench.command("people", "rows.csv"), bench.command("places", "rows.csv")
    for each in (step, other):
        assert Carried(session.start(each, 1)).end().outcome == "done"
    results: RegistryResults = session.context.results
    blobs = {name: _blobs(results, name) for name in (step.key, other.key)}
    session.close()

    rows = target.features.require(ROWS)
    assert [each.name for each in rows.find([step.key])] == [step.key]
    assert [each.name for each in rows.remove([step.key], print)] == [step.key]

    assert rows.find([step.key]) == []
    repository = bench.session(target).context.results.repository
    gone = blobs[step.key] - blobs[other.key]
    assert not any(repository.has_blob(digest) for digest in gone)
    assert all(repository.has_blob(digest) for digest in blobs[other.key])
    again = bench.session(target)
    assert (again.result(step), again.result(other) is not None) == (None, True)
    assert bench.objects("Job", "batch/v1") == []


def test_nothing_is_deleted_while_a_run_goes_on(bench: Bench) -> None:
    first = bench.target(directory=bench.directory / "a")
    session = bench.session(first, RunRequest(content="c1", number=3), run="r")
    step = bench.command("people")
    assert Carried(session.start(step, 1)).end().outcome == "done"
    other = bench.target(directory=bench.directory / "b")
    with pytest.raises(PlimsollError, match="is under way"):
        other.features.require(ROWS).remove([step.key], print)
    assert [each.name for each in other.features.require(ROWS).find([step.key])] == [step.key]
    session.close()


def _blobs(results: RegistryResults, tag: str) -> set[str]:
    manifest = results.repository.manifest(tag).decoded()
    return {manifest.config.digest, *(layer.digest for layer in manifest.layers)}
