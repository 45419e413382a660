"""What a cluster would refuse of a plan, found before anything is made. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from plimsoll.errors import FileError
from plimsoll.kinds.llm import PrepareLlm
from plimsoll.kinds.serve import Serve
from plimsoll.kinds.train import TrainGang
from plimsoll.kubernetes.cluster import Cluster
from plimsoll.planning.capacity import Shortfall
from plimsoll.planning.steps import Plan
from plimsoll.runtime.contracts import contract_of
from plimsoll.runtime.contracts.gang import LONGEST_VARIABLE, Gang
from plimsoll.runtime.pod_task import WORKER_PORT
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.grammar import LABEL, naming_problem, word_problem
from plimsoll.targets.kubernetes.manifests.gang import host_names, provider_of
from plimsoll.targets.kubernetes.manifests.inference_pool import leads_by_pool
from plimsoll.targets.kubernetes.manifests.isolation import missing_classes
from plimsoll.targets.kubernetes.node_checks import node_problems
from plimsoll.targets.kubernetes.preview import Previewed, during_promotion, preview
from plimsoll.targets.kubernetes.providers import PRINT_RIGHTS

RESERVED = "kube-"
"""Namespaces that begin so belong to Kubernetes itself."""
_DEFAULT = "default"
"""The account that every namespace has, under which pods run that ask for none."""
_SHARED = frozenset({"ServiceAccount", "Gateway", "LocalQueue", "ResourceClaimTemplate"})
"""Kinds of which all steps of an application have the same object."""


def problems(plan: Plan, cluster: Cluster, chosen: Mapping[str, str]) -> tuple[Shortfall, ...]:
    """What is wrong with the steps of a plan on a cluster."""
    made = preview(plan, cluster, chosen)
    later = [
        during_promotion(each, plan.application, cluster, chosen) for each in made if isinstance(each.step.work, Serve)
    ]
    found = (
        *_uncounted(plan, cluster),
        *_too_many(plan, chosen),
        *_reserved(plan, cluster, made),
        *_unnameable([*made, *later], cluster),
        *_meeting([*made, *later]),
        *missing_classes(plan, cluster),
        *_unpicked(plan, cluster, chosen),
        *node_problems(plan, cluster, chosen),
    )
    return tuple(dict.fromkeys(found))


def require_namespace(name: str) -> None:
    """Raise FileError for the name of a namespace that no cluster takes, or that is Kubernetes' own."""
    if problem := word_problem(name, LABEL):
        hint = "name one such as team-a"
        raise FileError(f"a namespace cannot be named '{name}': {problem}", where="--namespace", hint=hint)
    if name.startswith(RESERVED):
        text = f"namespaces such as '{name}' belong to Kubernetes itself"
        raise FileError(text, where="--namespace", hint="name one of your own")


def _too_many(plan: Plan, chosen: Mapping[str, str]) -> Iterator[Shortfall]:
    """Gangs so large that a variable of their framework is longer than Linux hands to a process."""
    for step in plan.steps:
        if not isinstance(step.work, TrainGang) or step.workers == 1:
            continue
        hosts = host_names(provider_of(step, chosen), names.workload(plan.application, step), step.workers)
        gang = Gang(hosts=hosts, ports=(WORKER_PORT,) * len(hosts), directory="/")
        environment = contract_of(step.work.framework).environment(len(hosts) - 1, gang)
        for name, value in environment.items():
            size = len(name) + 1 + len(value)
            if size > LONGEST_VARIABLE:
                most = step.workers * LONGEST_VARIABLE // size
                message = (
                    f"{name} of {step.workers} workers would have {size} bytes; Linux takes {LONGEST_VARIABLE} in one "
                    "variable"
                )
                remedy = f"use about {most} workers, or another framework"
                yield Shortfall(step=step.name, setting=("workers",), message=message, remedy=remedy)


def _unpicked(plan: Plan, cluster: Cluster, chosen: Mapping[str, str]) -> Iterator[Shortfall]:
    """Language models whose questions are to be read apart, where nothing picks who reads them."""
    if leads_by_pool(chosen):
        return
    for step in plan.steps:
        if isinstance(step.work, PrepareLlm) and step.work.llm.prefill:
            text = f"nothing on {cluster.target} leads questions to engines that only read them"
            remedy = (
                "remove `prefill`, or have a gateway there with the Inference Extension's InferencePool, "
                "and neither --prefer service nor --prefer kserve"
            )
            yield Shortfall(step=step.name, setting=("prefill",), message=text, remedy=remedy)


def _reserved(plan: Plan, cluster: Cluster, made: list[Previewed]) -> Iterator[Shortfall]:
    """An application whose name is that of something that is not its own."""
    name, at = plan.application, ("metadata", "name")
    if cluster.namespace.startswith(RESERVED):
        text = f"the application's namespace would be '{cluster.namespace}', which belongs to Kubernetes itself"
        yield Shortfall(step="", setting=at, message=text, remedy="rename the application, or say --namespace")
    if name == _DEFAULT and any(each["kind"] == "ServiceAccount" for found in made for each in found.objects):
        text = f"the ServiceAccount of its services would be '{name}', which every namespace has for everybody"
        yield Shortfall(step="", setting=at, message=text, remedy="rename the application")


def _unnameable(made: list[Previewed], cluster: Cluster) -> Iterator[Shortfall]:
    """Objects that no cluster would take for their name, or for what controllers make of it."""
    for found in made:
        for each in found.objects:
            if problem := naming_problem(each, cluster.namespace):
                remedy = "use a shorter name of the part, the application or the namespace"
                yield Shortfall(step=found.step.name, setting=(), message=problem, remedy=remedy, at_key=True)


def _meeting(made: list[Previewed]) -> Iterator[Shortfall]:
    """Objects of two parts with the same name: what is made of `api` may be called as `api-servers` is."""
    owners: dict[tuple[str, str], str] = {}
    told: set[frozenset[str]] = set()
    for found in made:
        for each in found.objects:
            if each["kind"] in _SHARED:
                continue
            key = (each["kind"], each["metadata"]["name"])
            owner = owners.setdefault(key, found.step.name)
            pair = frozenset({owner, found.step.name})
            if len(pair) > 1 and pair not in told:
                told.add(pair)
                text = f"{found.step.name} and {owner} would both have a {key[0]} named '{key[1]}'"
                yield Shortfall(
                    step=found.step.name, setting=(), message=text, remedy="rename one of the two", at_key=True
                )


def _uncounted(plan: Plan, cluster: Cluster) -> Iterator[Shortfall]:
    """Accelerators whose resource nobody has told: a pod that asked for none would train without them."""
    if cluster.accelerator or cluster.classes or "nodes" not in cluster.unseen:
        return
    for step in plan.steps:
        if step.resources.accelerators and not step.resources.accelerator:
            message = (
                f"{step.name} requests accelerators, and you may not list nodes on {cluster.target}: "
                "they say under which resource accelerators are counted"
            )
            remedy = f"'{PRINT_RIGHTS}' prints the rights that are needed"
            setting = ("resources", "accelerators")
            yield Shortfall(step=step.name, setting=setting, message=message, remedy=remedy)
