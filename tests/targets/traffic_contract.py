"""What moving a service's traffic must do on every target: a base class of tests. A target overrides one fixture."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from msgspec import Struct

from plimsoll.errors import PlimsollError
from plimsoll.targets.traffic import TrafficMover

VERSIONS = ("1", "2")


class TrafficBench(Struct, frozen=True, kw_only=True):
    """The service `triage` with version 1 alone; versions 2 and 3 are registered.

    `mover` gives the service as one more process sees it; once `stopped` says so, it waits for nothing. `shares` are
    per cent of the requests by version, without those that have none; `everything` is all that stands of the service.
    `ask` has some requests answered.
    """

    mover: Callable[[Callable[[], bool]], TrafficMover]
    shares: Callable[[], Mapping[str, int]]
    everything: Callable[[], object]
    ask: Callable[[], None]

    def new(self) -> TrafficMover:
        """A mover that nobody stops."""
        return self.mover(lambda: False)


class TrafficContract:
    """Subclasses override `bench`."""

    @pytest.fixture
    def bench(self) -> TrafficBench:
        raise NotImplementedError

    def test_a_service_names_itself_and_the_version_that_has_its_requests(self, bench: TrafficBench) -> None:
        mover = bench.new()
        assert mover.service == "triage"
        assert mover.where
        with mover.exclusive() as undone:
            assert undone is False
            assert mover.leading() == "1"

    def test_a_version_that_is_added_is_loaded_and_has_no_request(self, bench: TrafficBench) -> None:
        mover = bench.new()
        with mover.exclusive():
            mover.add("1", "2")
            assert bench.shares() == {"1": 100}
            assert mover.counts(VERSIONS)["2"].loaded
            mover.restore()

    def test_each_weight_is_what_the_new_version_gets_and_the_old_one_gets_the_rest(self, bench: TrafficBench) -> None:
        mover = bench.new()
        with mover.exclusive():
            mover.add("1", "2")
            for weight, shares in ((30, {"1": 70, "2": 30}), (80, {"1": 20, "2": 80}), (100, {"2": 100})):
                mover.weigh("1", "2", weight)
                assert bench.shares() == shares
            mover.restore()

    def test_counts_tell_what_each_version_has_answered(self, bench: TrafficBench) -> None:
        mover = bench.new()
        with mover.exclusive():
            mover.add("1", "2")
            mover.weigh("1", "2", 100)
            before = mover.counts(VERSIONS)["2"].codes.get("200", 0)
            bench.ask()
            assert mover.counts(VERSIONS)["2"].codes["200"] > before
            mover.restore()

    def test_all_counts_are_told_to_one_who_only_looks_and_the_promotion_goes_on(self, bench: TrafficBench) -> None:
        mover, looker = bench.new(), bench.new()
        with mover.exclusive():
            mover.add("1", "2")
            mover.weigh("1", "2", 100)
            bench.ask()
            found = looker.all_counts()
            assert found["2"].loaded
            assert found["2"].codes["200"] > 0
            mover.restore()

    def test_what_is_restored_is_as_it_was(self, bench: TrafficBench) -> None:
        before = bench.everything()
        mover = bench.new()
        with mover.exclusive():
            mover.add("1", "2")
            mover.weigh("1", "2", 60)
            mover.restore()
        assert bench.everything() == before
        assert bench.new().leading() == "1"

    def test_restoring_what_was_not_changed_changes_nothing(self, bench: TrafficBench) -> None:
        before = bench.everything()
        mover = bench.new()
        with mover.exclusive():
            mover.restore()
            mover.restore()
        assert bench.everything() == before

    def test_the_version_that_is_settled_is_the_one_that_the_next_promotion_finds(self, bench: TrafficBench) -> None:
        mover = bench.new()
        with mover.exclusive():
            mover.add("1", "2")
            mover.weigh("1", "2", 100)
            assert mover.former() is None
            mover.settle("1", "2")
        assert bench.shares() == {"2": 100}
        following = bench.new()
        with following.exclusive() as undone:
            assert undone is False
            assert (following.leading(), following.former(), following.model) == ("2", "1", "triage")
            following.add("2", "3")
            following.weigh("2", "3", 10)
            assert bench.shares() == {"2": 90, "3": 10}
            following.restore()
        assert bench.shares() == {"2": 100}

    def test_one_promotion_goes_on_at_a_time(self, bench: TrafficBench) -> None:
        mover, other = bench.new(), bench.new()
        with mover.exclusive():
            with (
                pytest.raises(PlimsollError, match="another promotion into this service is running"),
                other.exclusive(),
            ):
                pytest.fail("both go on")
            mover.add("1", "2")
            mover.restore()
        with other.exclusive() as undone:
            assert undone is False

    def test_what_was_cut_off_is_undone_first_and_once(self, bench: TrafficBench) -> None:
        before = bench.everything()
        mover = bench.new()
        with pytest.raises(ZeroDivisionError), mover.exclusive():
            mover.add("1", "2")
            mover.weigh("1", "2", 60)
            raise ZeroDivisionError("neither settled nor restored")
        assert bench.shares() == {"1": 40, "2": 60}
        following = bench.new()
        with following.exclusive() as undone:
            assert undone is True
            assert bench.shares() == {"1": 100}
            assert following.leading() == "1"
        assert bench.everything() == before
        with bench.new().exclusive() as undone:
            assert undone is False

    def test_a_version_that_nobody_has_registered_is_refused_and_changes_nothing(self, bench: TrafficBench) -> None:
        before = bench.everything()
        mover = bench.new()
        with mover.exclusive():
            with pytest.raises(PlimsollError, match="triage@9"):
                mover.add("1", "9")
            mover.restore()
        assert bench.everything() == before

    def test_a_mover_that_is_stopped_waits_for_no_version_and_can_still_restore(self, bench: TrafficBench) -> None:
        before = bench.everything()
        mover = bench.mover(lambda: True)
        with mover.exclusive():
            mover.add("1", "2")
            assert bench.shares() == {"1": 100}
            mover.restore()
        assert bench.everything() == before
