"""An application's whole life on a bench, as somebody with given rights: run, status, predict, promote, down."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from plimsoll.api.applications import Application
from plimsoll.engine.preparation import prepare
from plimsoll.engine.promotion.promoting import Pace, promote
from plimsoll.kinds.table import KINDS
from plimsoll.kubernetes.access import Act
from plimsoll.kubernetes.cluster import GATEWAY
from plimsoll.kubernetes.memory.controllers import Gateways, JobSets
from plimsoll.kubernetes.memory.requests import place_of, verb_of
from plimsoll.registry.versions import Lineage
from plimsoll.targets.features import RIGHTS
from plimsoll.targets.kubernetes.manifests.groups import PORT
from plimsoll.targets.kubernetes.target import KubernetesTarget
from plimsoll.targets.models import model_registry
from plimsoll.targets.options import TargetOptions
from tests.targets.kubernetes.bench import APPLICATION, Bench, Pod
from tests.targets.kubernetes.serving import Inference, Server

Manifest = dict[str, Any]
FILE = {
    "apiVersion": "plimsoll.dev/v1alpha1",
    "kind": "Application",
    "metadata": {"name": APPLICATION},
    "spec": {
        "models": {
            "triage": {
                "train": {"run": "python train.py", "code": ["train.py"], "workers": 2, "resources": {"cpu": 0.1}}
            }
        },
        "services": {"api": {"model": "triage", "resources": {"cpu": 0.1}}},
    },
}
PACE = Pace(steps=(50, 100), requests=10, hold=0.0, limit=20.0)


class CountedServer(Server):
    """It has answered more requests at each look at its metrics."""

    looks = 0


class _Counted(Inference):
    server: CountedServer

    def do_GET(self) -> None:  # noqa: N802  # of the standard library
        if self.path.endswith("/drift"):
            self._answer({"versions": []})
        elif self.path.endswith("/metrics"):
            self.server.looks += 1
            self._answer_text("".join(self._lines(version) for version in ("1", "2")))
        else:
            super().do_GET()

    def _lines(self, version: str) -> str:
        label, count = f'model="triage",version="{version}"', 100 * self.server.looks
        return (
            f'plimsoll_requests_total{{{label},code="200"}} {count}\n'
            f'plimsoll_request_seconds_bucket{{{label},le="0.1"}} {count}\n'
            f'plimsoll_request_seconds_bucket{{{label},le="+Inf"}} {count}\n'
            f"plimsoll_model_info{{{label}}} 1\n"
        )

    def _answer_text(self, text: str) -> None:
        content = text.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def servers(bench: Bench) -> Iterator[None]:
    """A server that every pod leads to."""
    with CountedServer(("127.0.0.1", 0), _Counted) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        bench.cluster.lead(APPLICATION, "", PORT, server.server_port)
        yield
        server.shutdown()


def furnish(bench: Bench, *addons: str) -> None:
    """The namespace that a user is given, and what the add-ons have there."""
    bench.target().api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": APPLICATION}})
    bench.does("train/triage", _trained)
    if "jobset" in addons:
        bench.cluster.run(JobSets())
    if "gateway" in addons:
        spec = {"controllerName": "plimsoll.dev/memory"}
        bench.cluster.put({"apiVersion": GATEWAY, "kind": "GatewayClass", "metadata": {"name": "lab"}, "spec": spec})
        bench.cluster.run(Gateways())
        accepted = lambda: "True" in str(bench.cluster.list(GATEWAY, "GatewayClass")[0].get("status"))  # noqa: E731
        assert bench.cluster.wait_for(accepted)


def _trained(pod: Pod) -> None:
    pod.leave(model_onnx="weights", metrics_json=json.dumps({"accuracy": 0.9}))


class Life:
    """The application in a directory of its own, by a context of the bench's cluster."""

    def __init__(self, bench: Bench, context: str, directory: Path, **options: Any) -> None:
        self.bench = bench
        self.context = context
        directory.mkdir(exist_ok=True)
        self.file = directory / "plimsoll.yaml"
        self.file.write_text(yaml.safe_dump(FILE), encoding="utf-8")
        (directory / "train.py").write_text("", encoding="utf-8")
        self.options = TargetOptions(
            **{"registry": bench.registry, "base": f"rootfs:{bench.base}", "namespace": APPLICATION, **options}
        )
        self._made: list[KubernetesTarget] = []

    def target(self) -> KubernetesTarget:
        """A target as each command makes it."""
        made = KubernetesTarget(self.context, self.file.parent, APPLICATION, self.options)
        self._made.append(made)
        return made

    def __enter__(self) -> Life:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def printed(self, user: str) -> list[Manifest]:
        """The rights of the application, as `run --print-rbac --user` gives them."""
        prepared = prepare(self.file, self.target(), must_fit=False)
        return list(map(dict, prepared.target.features.require(RIGHTS).roles(prepared.plan, [user], [])))

    def run(self) -> None:
        """Train and serve."""
        with self._application() as application:
            history = application.run()
            assert history.state == "done", history

    def status(self) -> None:
        """What is up, and how it is."""
        target = self.target()
        assert list(target.services()) == ["api"]
        assert tuple(target.service_notes("api")) == ()
        assert target.drift("api") == []

    def predict(self) -> None:
        """Ask the service."""
        tensor = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1.0, 2.0]}
        with self._application() as application, application.service("api") as service:
            assert service.infer({"inputs": [tensor]})

    def promote(self) -> None:
        """Move the service to a second version."""
        models = model_registry(self.target().state)
        if len(models.versions("triage")) == 1:
            weights = self.file.parent / "model.onnx"
            weights.write_bytes(b"more weights")
            lineage = Lineage(run="r1", step="train/triage", key="k2")
            models.add("triage", {"model.onnx": weights}, lineage=lineage, metrics={"accuracy": 0.9}, accept={})
        made = promote(self.target(), "triage@2", service=None, pace=PACE, say=lambda _: None, stopped=lambda: False)
        assert made.promoted, made.reason

    def down(self) -> None:
        """Remove all of it."""
        self.target().remove()
        assert self.bench.objects("ConfigMap") in ([], ["kube-root-ca.crt"])
        assert not self.bench.objects("Deployment", "apps/v1")

    def whole(self) -> None:
        """From its first run to its removal."""
        for step in (self.run, self.status, self.predict, self.promote, self.down):
            step()

    def close(self) -> None:
        """Close what was opened."""
        for target in self._made:
            target.close()

    def _application(self) -> Application:
        return Application(KINDS.load(self.file), self.context, self.options)


def asked(bench: Bench, user: str) -> set[Act]:
    """What somebody was let do, as RBAC calls it: what every known user may is left out."""
    kinds = bench.cluster._objects.kinds
    found = set()
    for each in bench.cluster.seen():
        place = place_of(each.path, kinds)
        if each.user != user or place is None or each.code == 403 or "/selfsubject" in each.path:
            continue
        part = f"/{place.subresource}" if place.subresource else ""
        namespace = place.namespace or (place.name if place.kind.plural == "namespaces" else "")
        resource = f"{place.kind.plural}{part}"
        verbs = {verb_of(each.method, place, each.parameters)}
        # What is applied and not there is created; a WebSocket is opened by GET and needs the right to create.
        if (each.method == "PATCH" and each.code == 201) or part == "/portforward":
            verbs.add("create")
        found |= {Act(verb=verb, group=place.kind.group, resource=resource, namespace=namespace) for verb in verbs}
    return found


def given(manifests: list[Manifest]) -> set[Act]:
    """What roles let somebody do."""
    return {
        Act(
            verb=verb,
            group=group,
            resource=resource,
            namespace=each["metadata"].get("namespace", ""),
            name=name,
        )
        for each in manifests
        for rule in each.get("rules", [])
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [""])
    }


def without(manifests: list[Manifest], act: Act) -> list[Manifest]:
    """The same roles without one right."""
    return [{**each, "rules": list(_rules(each, act))} if "rules" in each else each for each in manifests]


def _rules(role: Mapping[str, Any], act: Act) -> Iterator[Manifest]:
    for rule in role["rules"]:
        for resource in rule["resources"]:
            here = act.group in rule["apiGroups"] and act.namespace == role["metadata"].get("namespace", "")
            lost = {act.verb} if here and act.resource == resource else set()
            verbs = [verb for verb in rule["verbs"] if verb not in lost]
            if verbs:
                yield {**rule, "resources": [resource], "verbs": verbs}
