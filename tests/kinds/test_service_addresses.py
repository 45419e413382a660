"""Where services listen and when they move, as the file says it."""

from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.errors import FileError
from plimsoll.kinds.serve import WAITING_ROLLOUT, Serve
from plimsoll.kinds.table import KINDS
from plimsoll.planning.capacity import shortfalls
from plimsoll.planning.facts import TargetFacts
from plimsoll.planning.steps import Plan, Step

HEAD = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: tiny}
spec:
  models:
    m: {train: {run: python train.py}}
  services:
"""


def checked(directory: Path, services: str) -> None:
    path = directory / "plimsoll.yaml"
    path.write_text(HEAD + services)
    (directory / "train.py").write_text("")
    KINDS.check(KINDS.load(path), "local")


def test_a_service_may_have_an_address_and_a_word_for_new_versions(tmp_path: Path) -> None:
    checked(tmp_path, '    a: {model: m, port: 8080, host: "::1", rollout: promote}\n    b: {model: m, port: 8081}\n')


@pytest.mark.parametrize(
    ("services", "place", "words"),
    [
        (
            "    a: {model: m, port: 8080}\n    b: {model: m, port: 8080}\n",
            ":9:25",
            "'a' and 'b' have the same port 8080",
        ),
        ("    a: {model: m, port: 0}\n", ":8:", "port"),
        ("    a: {model: m, port: 65536}\n", ":8:", "port"),
        ('    a: {model: m, host: "http://x"}\n', ":8:", "expected an address of this machine"),
        ("    a: {model: m, rollout: sometimes}\n", ":8:", "rollout"),
        ("    a: {model: m@1, rollout: promote}\n", ":8:", "a model without a version"),
        ("    a: {model: [{model: m, weight: 100}], rollout: promote}\n", ":8:", "a model without a version"),
    ],
)
def test_a_mistake_in_an_address_is_told_with_its_place(tmp_path: Path, services: str, place: str, words: str) -> None:
    with pytest.raises(FileError) as raised:
        checked(tmp_path, services)
    assert place in raised.value.where
    assert words in str(raised.value)


def test_a_target_that_cannot_let_a_version_wait_is_told_so_with_the_setting() -> None:
    step = Step(part="m", key="k", work=Serve(service="m", model="m", rollout="promote"))
    plan = Plan(application="tiny", target="cluster", steps=(step,))
    facts = TargetFacts(target="cluster", cpu=4.0, memory=1 << 30, lacks={WAITING_ROLLOUT: "runs move services there"})
    (found,) = shortfalls(plan, facts)
    assert found.setting == ("rollout",)
    assert "serve/m lets new versions wait for their promotion, which cluster does not support" in found.message


def test_a_service_follows_a_model_only_where_the_file_names_no_version() -> None:
    assert Serve(service="m", model="m").follows == "m"
    assert Serve(service="m", model="m@1").follows == ""
