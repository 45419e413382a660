"""Images for the architectures of a cluster's nodes, and pods that ask for those of their image."""

from __future__ import annotations

from typing import Any

import msgspec

from plimsoll.images.base import find_base, own_architecture
from plimsoll.images.image import compose, push_image, push_index
from plimsoll.images.layers import LayerStore
from plimsoll.kubernetes.cluster import Cluster, Node
from plimsoll.registry.connection import RegistryAccess
from plimsoll.registry.references import parse_reference
from plimsoll.registry.repository import Repository
from plimsoll.targets.kubernetes.manifests.nodes import on_architectures
from tests.targets.kubernetes.bench import Bench, done

BOTH = ("amd64", "arm64")
OTHER = next(each for each in BOTH if each != own_architecture())


def pushed_base(bench: Bench, *architectures: str) -> str:
    """A base image for several architectures, by the digest of its index."""
    store = LayerStore.default()
    place = parse_reference(f"{bench.registry}/base")
    made = {}
    with Repository(place, RegistryAccess.of_environment(place)) as repository:
        for each in architectures:
            made[each] = compose(find_base(f"rootfs:{bench.base}", store, architecture=each), [])
            push_image(made[each], repository, store)
        return f"{bench.registry}/base@{push_index(made, repository)}"


def spec_of(bench: Bench, **options: Any) -> dict[str, Any]:
    """The pod of a step that has run."""
    target = bench.target(**options)
    session = bench.session(target)
    step = bench.command("clean", "out.txt")
    done(session, step)
    job = bench.job(step)
    assert job is not None
    found: dict[str, Any] = job["spec"]["template"]["spec"]
    return found


def platforms(reference: str) -> list[str]:
    """The architectures of an image that is an index."""
    place = parse_reference(reference)
    with Repository(place, RegistryAccess.of_environment(place)) as repository:
        index = msgspec.json.decode(repository.manifest().content)
    return [each["platform"]["architecture"] for each in index["manifests"]]


def test_a_step_s_image_is_made_for_all_architectures_that_nodes_and_base_share(bench: Bench) -> None:
    bench.cluster.add_node("other", architecture=OTHER)
    base = pushed_base(bench, *BOTH)
    spec = spec_of(bench, base=base)
    assert platforms(spec["containers"][0]["image"]) == list(BOTH)
    (term,) = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert term["matchExpressions"] == [{"key": "kubernetes.io/arch", "operator": "In", "values": list(BOTH)}]
    assert bench.target(base=base).facts().providers["images"] == "for amd64 and arm64, as nodes are"


def test_a_base_of_one_architecture_keeps_pods_off_other_nodes_and_the_plan_says_so(bench: Bench) -> None:
    bench.cluster.add_node("another", architecture=OTHER)
    spec = spec_of(bench)
    assert spec["nodeSelector"] == {"kubernetes.io/arch": own_architecture()}
    told = bench.target().facts().providers["images"]
    assert told == f"for {own_architecture()}; the base image is not for {OTHER}, whose nodes are left out"


def test_a_packed_gang_keeps_its_affinity_beside_that_of_architectures() -> None:
    spec = on_architectures({"affinity": {"podAffinity": {"a": 1}}}, BOTH)
    assert set(spec["affinity"]) == {"podAffinity", "nodeAffinity"}
    assert on_architectures({}, ()) == {}


def test_nodes_that_are_alike_have_one_architecture() -> None:
    nodes = tuple(Node(name=str(n), cpu=1, memory=1, architecture="arm64") for n in range(3))
    assert Cluster(target="lab", namespace="app", nodes=nodes).architectures == ("arm64",)
