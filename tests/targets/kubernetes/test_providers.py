"""Which provider carries which need on which cluster."""

from __future__ import annotations

import pytest

from plimsoll.errors import FileError
from plimsoll.kubernetes.cluster import GATEWAY, JOBSET, KUEUE, POD_GROUP, RAY, Cluster
from plimsoll.targets.kubernetes.providers import choose, needs, unknown_preferences

EVERYTHING = frozenset(
    {
        f"{JOBSET}/JobSet",
        f"{KUEUE}/LocalQueue",
        f"{POD_GROUP}/PodGroup",
        f"{GATEWAY}/HTTPRoute",
    }
)


def cluster(served: frozenset[str] = frozenset(), **more: object) -> Cluster:
    return Cluster(target="here", namespace="app", served=served, **more)  # type: ignore[arg-type]


def test_kueue_with_jobset_is_first_where_there_is_a_queue() -> None:
    found = choose(cluster(EVERYTHING, queues=("team",)), "gang")
    assert (found.provider, found.why) == ("kueue", "Kueue's queue team of namespace app admits a gang whole")
    assert found.others == ("podgroup", "jobset", "job")


def test_kueue_without_any_queue_that_takes_us_is_passed_over() -> None:
    assert choose(cluster(EVERYTHING), "gang").provider == "podgroup"
    assert choose(cluster(EVERYTHING, admitting=("all",)), "gang").provider == "kueue"


def test_a_plain_cluster_runs_an_indexed_job_and_says_what_that_lacks() -> None:
    found = choose(cluster(), "gang")
    assert found.provider == "job"
    assert "may start alone" in found.why


def test_a_preference_wins_where_it_can_carry_the_need() -> None:
    assert choose(cluster(EVERYTHING, queues=("team",)), "gang", ["jobset"]).provider == "jobset"
    assert choose(cluster(EVERYTHING), "traffic", ["service"]).provider == "service"


def test_a_preference_that_cannot_is_refused_with_what_can() -> None:
    with pytest.raises(FileError, match="kueue cannot carry gang on here") as refused:
        choose(cluster(), "gang", ["kueue"])
    assert refused.value.hint == "there: job"


def test_rays_own_way_is_chosen_only_where_there_is_another() -> None:
    with_kuberay = cluster(EVERYTHING | {f"{RAY}/RayJob"})
    assert "ray" not in needs(cluster(EVERYTHING))
    assert "ray" in needs(with_kuberay)
    assert choose(with_kuberay, "ray").provider == "pods"
    assert choose(with_kuberay, "ray", ["rayjob"]).provider == "rayjob"
    assert "ray" in needs(cluster(EVERYTHING), ["rayjob"])
    with pytest.raises(FileError, match="rayjob cannot carry ray on here"):
        choose(cluster(EVERYTHING), "ray", ["rayjob"])


def test_a_gateway_needs_an_accepted_class() -> None:
    assert choose(cluster(EVERYTHING), "traffic").provider == "service"
    assert choose(cluster(EVERYTHING, gateways=("lab",)), "traffic").provider == "gateway"


def test_names_of_no_provider_are_told() -> None:
    assert unknown_preferences(["jobset", "slurm"]) == ["slurm"]
