"""A CronJob that runs an application: with its files, with its rights, and taken by the API server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from plimsoll.cli.verbs import plan as verb
from plimsoll.engine.preparation import prepare
from plimsoll.errors import FileError, TargetError
from plimsoll.images.base import find_base
from plimsoll.images.image import compose, push_image
from plimsoll.images.layers import LayerStore
from plimsoll.registry.references import parse_reference
from plimsoll.registry.repository import Repository
from plimsoll.targets.features import RIGHTS, SCHEDULE
from plimsoll.targets.kubernetes import images, scheduling
from plimsoll.targets.kubernetes.scheduling import application_files
from plimsoll.targets.kubernetes.target import KubernetesTarget
from tests.targets.kubernetes.bench import APPLICATION, Bench
from tests.targets.kubernetes.conftest import _no_runtime

Manifest = dict[str, Any]
FILE = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: a}
spec:
  environment: {requirements: requirements.txt}
  datasets:
    orders: {source: data/orders}
    far: {source: "https://example.org/x.csv", sha256: %s}
  models:
    m: {train: {run: python train.py, inputs: [orders], code: [lib/*.py]}}
  services:
    s: {model: m}
"""


@pytest.fixture
def bench(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A bench whose base image is in its registry, and an application with files of each kind."""
    monkeypatch.setattr(images, "runner_layers", _no_runtime)
    store = LayerStore.default()
    with Repository(parse_reference(f"{bench.registry}/base")) as repository:
        push_image(compose(find_base(f"rootfs:{bench.base}", store), [], user=""), repository, store, tag="1")
    for name, text in {
        "plimsoll.yaml": FILE % ("a" * 64),
        "requirements.txt": "numpy\n",
        "train.py": "import lib.a\n",
        "lib/a.py": "",
        "data/orders/2026/part.csv": "x\n1\n",
        "notes.txt": "not of the application",
    }.items():
        path = bench.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return bench


def target_on(bench: Bench, **options: Any) -> KubernetesTarget:
    return bench.target(**{"base": f"{bench.registry}/base:1", **options})


def scheduled(bench: Bench, schedule: str = "0 3 * * *", **options: Any) -> list[Manifest]:
    prepared = prepare(bench.directory / "plimsoll.yaml", target_on(bench, **options), must_fit=False)
    render = prepared.target.features.require(SCHEDULE)
    return list(map(dict, render(prepared.file, prepared.plan, schedule, ("rate=0.1",), ("train/m",))))


def of_kind(found: list[Manifest], kind: str) -> Manifest:
    (one,) = [each for each in found if each["kind"] == kind]
    return one


def test_a_cron_job_runs_the_application_as_it_was_asked_for_here(bench: Bench) -> None:
    found = scheduled(bench)
    assert [each["kind"] for each in found][:2] == ["Namespace", "ServiceAccount"]
    job = of_kind(found, "CronJob")
    assert job["spec"]["schedule"] == "0 3 * * *"
    assert job["spec"]["concurrencyPolicy"] == "Forbid"
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    command = " ".join(container["command"])
    assert command.startswith("python -m plimsoll run train/m -f plimsoll.yaml --target in-cluster --namespace ")
    assert f"--registry {bench.registry} --base {bench.registry}/base:1 --set rate=0.1" in command
    assert "@sha256:" in container["image"]
    assert container["workingDir"] == "/workspace"
    claim = of_kind(found, "PersistentVolumeClaim")["metadata"]["name"]
    assert {"name": "state", "persistentVolumeClaim": {"claimName": claim}} in pod["volumes"]


def test_a_base_that_lies_on_this_disk_is_pushed_for_the_runs_to_build_on(bench: Bench) -> None:
    job = of_kind(scheduled(bench, base=f"rootfs:{bench.base}"), "CronJob")
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    base = container["command"][container["command"].index("--base") + 1]
    assert re.fullmatch(rf"{re.escape(bench.registry)}/shop/base@sha256:[0-9a-f]{{64}}", base)
    pushed, own = find_base(base, LayerStore.default()), find_base(f"rootfs:{bench.base}", LayerStore.default())
    assert [each.diff_id for each in pushed.layers] == [each.diff_id for each in own.layers]
    assert "PYTHONPATH" not in str(pushed.config)


def test_its_account_has_exactly_the_rights_that_print_rbac_gives(bench: Bench) -> None:
    found = scheduled(bench)
    account = of_kind(found, "ServiceAccount")["metadata"]
    prepared = prepare(bench.directory / "plimsoll.yaml", target_on(bench), must_fit=False)
    user = f"system:serviceaccount:{account['namespace']}:{account['name']}"
    given = prepared.target.features.require(RIGHTS).roles(prepared.plan, [user], [])
    assert [each for each in found if "rbac" in each["apiVersion"]] == list(given)
    assert (
        of_kind(found, "CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]["serviceAccountName"]
        == account["name"]
    )


def test_its_image_has_the_files_of_the_application_and_no_others(bench: Bench) -> None:
    prepared = prepare(bench.directory / "plimsoll.yaml", target_on(bench), must_fit=False)
    assert application_files(prepared.file, prepared.plan) == [
        "data/orders/2026/part.csv",
        "lib/a.py",
        "plimsoll.yaml",
        "requirements.txt",
        "train.py",
    ]


ASSISTANT = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: shop}
spec:
  datasets: {pages: {source: pages}}
  indexes: {faq: {documents: pages}}
  llms: {writer: {endpoint: {url: 'https://llm.example/v1', model: m}}}
  assistants: {help: {index: faq, llm: writer, prompt: rules.md, questions: judged.jsonl}}
"""


def test_its_image_has_what_an_assistant_reads(bench: Bench) -> None:
    directory = bench.directory / "other"
    (directory / "pages").mkdir(parents=True)
    for name, text in {"pages/a.md": "# A", "rules.md": "Be brief.", "judged.jsonl": "", "app.yaml": ASSISTANT}.items():
        (directory / name).write_text(text)
    prepared = prepare(directory / "app.yaml", bench.target(directory=directory), must_fit=False)
    found = application_files(prepared.file, prepared.plan)
    assert found == ["app.yaml", "judged.jsonl", "pages/a.md", "rules.md"]


def test_the_api_server_takes_every_object_before_it_is_printed(bench: Bench) -> None:
    bench.cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": APPLICATION}})
    before = len(bench.cluster.seen())
    found = scheduled(bench, namespace=APPLICATION)
    posted = [
        each for each in bench.cluster.seen()[before:] if each.method == "POST" and "selfsubject" not in each.path
    ]
    assert {each.path.rsplit("/", 1)[1] for each in posted} == {"serviceaccounts", "persistentvolumeclaims", "cronjobs"}
    assert all(each.parameters["dryRun"] == "All" for each in posted)
    assert bench.cluster.list("batch/v1", "CronJob") == []
    assert "Namespace" not in [each["kind"] for each in found], "it is somebody else's"
    for each in found:
        bench.cluster.put(each)
    assert scheduled(bench, namespace=APPLICATION) == found, "what is there already is no refusal"


def test_what_the_api_server_refuses_is_told(bench: Bench) -> None:
    bench.cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": APPLICATION}})

    def refuse(asked: Any) -> str | None:
        return "no CronJobs on Fridays" if asked.kind.kind == "CronJob" else None

    bench.cluster.validate(refuse)
    with pytest.raises(TargetError, match=r"the API server refuses CronJob/a-schedule: .*no CronJobs on Fridays"):
        scheduled(bench, namespace=APPLICATION)


def test_what_cannot_be_scheduled_is_told_before_an_image_is_made(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(FileError, match="'61' is no minute"):
        scheduled(bench, "61 * * * *")
    outside = tmp_path.parent / "outside.csv"
    outside.write_text("x\n")
    path = bench.directory / "plimsoll.yaml"
    path.write_text(path.read_text().replace("data/orders}", "../outside.csv}"))
    with pytest.raises(FileError, match=r"the source \.\./outside\.csv is outside of the application's directory"):
        scheduled(bench)


def test_the_command_prints_it_and_a_schedule_is_only_for_manifests(bench: Bench) -> None:
    file = str(bench.directory / "plimsoll.yaml")
    options = [
        "-f",
        file,
        "--target",
        bench.cluster.context,
        "--registry",
        bench.registry,
        "--base",
        f"{bench.registry}/base:1",
    ]
    printed = CliRunner().invoke(verb.command, [*options, "--output", "yaml", "--schedule", "@daily"])
    assert printed.exit_code == 0, printed.exception
    kinds = [each["kind"] for each in yaml.safe_load_all(printed.output)]
    assert kinds[-1] == "CronJob"
    assert "&id" not in printed.output
    refused = CliRunner().invoke(verb.command, ["-f", file, "--schedule", "@daily"])
    assert isinstance(refused.exception, FileError)
    here = CliRunner().invoke(verb.command, ["-f", file, "--output", "yaml", "--schedule", "@daily"])
    assert "cron does, see docs/running.md" in str(here.exception)


def test_more_files_than_an_image_should_have_are_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduling, "MOST_FILES", 4)
    with pytest.raises(FileError, match="more than 4 files"):
        scheduled(bench)
