"""What the command line says of a search, and which values come of it."""

from __future__ import annotations

from random import Random

import pytest

from plimsoll.application.parameters import Parameter, ParameterError
from plimsoll.engine.sweep.objective import Objective, objective_of, series_of
from plimsoll.engine.sweep.search import search_of
from plimsoll.engine.sweep.space import Space, settings_of, space_of
from plimsoll.errors import FileError

DEFAULTS: dict[str, Parameter] = {"rate": 0.1, "rounds": 50, "booster": "gbtree", "shuffle": True}


def space(grid: tuple[str, ...] = (), random: tuple[str, ...] = ()) -> Space:
    return space_of(DEFAULTS, grid=grid, random=random, optuna=())


def test_a_grid_is_all_combinations_with_the_types_of_the_defaults() -> None:
    found = space(("rate=1,0.5", "shuffle=true,false")).grid()
    assert found == [
        {"rate": 1.0, "shuffle": True},
        {"rate": 1.0, "shuffle": False},
        {"rate": 0.5, "shuffle": True},
        {"rate": 0.5, "shuffle": False},
    ]
    assert isinstance(found[0]["rate"], float)
    assert settings_of(found[1]) == ["rate=1.0", "shuffle=false"]


def test_draws_stay_within_their_range_and_reach_both_ends_of_whole_numbers() -> None:
    rate, rounds, booster = space(random=("rate=log:1e-4:1e-1", "rounds=log:1:4", "booster=gbtree,dart")).dimensions
    chance = Random(1)
    rates = [rate.drawn(chance) for _ in range(2000)]
    assert all(isinstance(each, float) and 1e-4 <= each <= 1e-1 for each in rates)
    below = sum(isinstance(each, float) and each < 1e-3 for each in rates)
    assert 500 < below < 850, "a third of the draws, one for each power of ten"
    assert {rounds.drawn(chance) for _ in range(200)} == {1, 2, 3, 4}
    assert {booster.drawn(chance) for _ in range(50)} == {"gbtree", "dart"}


@pytest.mark.parametrize(
    ("grid", "random", "message"),
    [
        ((), (), "--grid, --random, --optuna: no parameter to search"),
        (("rate",), (), "--grid: 'rate' has no values"),
        (("rat=0.1",), (), "--grid: the file has no parameter 'rat'"),
        (("rounds=1.5",), (), "--grid: the parameter 'rounds' takes a whole number, got '1.5'"),
        (("rate=0.1:0.2",), (), "--grid: a grid has no range '0.1:0.2'"),
        (("rate=1",), ("rate=2,3",), "--random: 'rate' is named twice"),
        ((), ("rate=0.2:0.1",), "--random: the range 'rate=0.2:0.1' is empty"),
        ((), ("rate=log:0:1",), "--random: the range 'rate=log:0:1' begins at 0"),
        ((), ("rate=lin:0:1",), "--random: 'rate=lin:0:1' is not a range"),
        ((), ("shuffle=0:1",), "--random: 'shuffle=0:1' is not a range"),
        (("rounds=" + ",".join(map(str, range(400))), "rate=" + ",".join(map(str, range(400)))), (), "combinations"),
    ],
)
def test_what_cannot_be_searched_is_told_with_its_option(
    grid: tuple[str, ...], random: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ParameterError) as caught:
        space(grid, random)
    assert message in str(caught.value)
    assert caught.value.hint


def test_more_trials_leave_the_first_ones_as_they_are_and_other_seeds_draw_others() -> None:
    drawn = space(("booster=gbtree,dart",), ("rate=0:1",))
    few = search_of(drawn, trials=3, seed=0, maximize=True)
    many = search_of(drawn, trials=6, seed=0, maximize=True)
    first = [few.values(number) for number in range(1, 5)]
    assert first[3] is None
    assert first[:3] == [many.values(number) for number in range(1, 4)]
    assert [each["booster"] for each in first[:3] if each] == ["gbtree", "dart", "gbtree"]
    other = search_of(drawn, trials=3, seed=1, maximize=True)
    assert other.values(1) != first[0]


def test_nothing_is_tried_twice_and_a_space_that_is_exhausted_ends_the_search() -> None:
    search = search_of(space(random=("shuffle=true,false",)), trials=9, seed=0, maximize=True)
    tried = [search.values(number) for number in range(1, 4)]
    assert {str(each) for each in tried[:2]} == {"{'shuffle': True}", "{'shuffle': False}"}
    assert tried[2] is None


def test_the_objective_is_the_first_bound_of_the_model_unless_it_is_named() -> None:
    accept = {"accuracy": ">= 0.9", "loss": "< 1"}
    assert objective_of(None, None, accept, "m") == Objective(name="accuracy", maximize=True)
    assert objective_of("loss", None, accept, "m") == Objective(name="loss", maximize=False)
    assert objective_of("loss", True, accept, "m") == Objective(name="loss", maximize=True)
    with pytest.raises(FileError, match="nothing says whether 'f1' is to be high or low"):
        objective_of("f1", None, accept, "m")
    with pytest.raises(FileError, match="nothing says which figure of 'm' is to be the best"):
        objective_of(None, None, {}, "m")


def test_the_series_of_early_stopping_says_which_way_is_better() -> None:
    accuracy = Objective(name="accuracy", maximize=True)
    assert series_of("loss:min", accuracy) == Objective(name="loss", maximize=False)
    assert series_of("accuracy", accuracy) == accuracy
    with pytest.raises(FileError, match="nothing says whether 'loss' is to be high or low"):
        series_of("loss", accuracy)


def test_optuna_learns_asks_within_its_ranges_and_can_be_told_what_it_asked_for_before() -> None:
    pytest.importorskip("optuna", reason="needs Optuna (pip install optuna)")
    asked = space_of(DEFAULTS, grid=(), random=(), optuna=("rate=log:1e-4:1e-1", "booster=gbtree,dart"))
    first = search_of(asked, trials=40, seed=0, maximize=False)
    values = []
    for number in range(1, 31):
        found = first.values(number)
        assert found is not None
        rate = found["rate"]
        assert isinstance(rate, float)
        assert 1e-4 <= rate <= 1e-1
        values.append(found)
        first.tell(number, "done", abs(rate - 0.01))
    near = [sum(abs(float(each["rate"]) - 0.01) < 0.005 for each in part) for part in (values[:10], values[20:])]
    assert near[1] > near[0], "it comes nearer to what is best"
    again = search_of(asked, trials=40, seed=0, maximize=False)
    for number, known in enumerate(values, 1):
        again.recall(number, known)
        again.tell(number, "failed" if number == 3 else "stopped" if number == 4 else "done", 1.0)
    assert again.values(31) is not None
