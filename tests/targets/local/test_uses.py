"""Which versions and results services need, so that cleaning leaves them alone."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from plimsoll.kinds.serve import Serve
from plimsoll.runtime.server.service_file import ModelFile, ServiceFile
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.local.keeper.records import KeeperPlace, WantedService
from plimsoll.targets.local.uses import version_uses


@pytest.fixture
def place(tmp_path: Path) -> KeeperPlace:
    """A kept pipeline of a version and a command, whose server is down."""
    state = StateDirectory(tmp_path)
    state.make()
    place = KeeperPlace(state)
    place.make()
    place.want(WantedService(work=Serve(service="chain", model="", environment="key-of-environment")))
    step = ModelFile(
        name="first", version="2", path="m/model.onnx", reference="triage@2", files={"m/w.bin": "sha256:1"}
    )
    content = ServiceFile(models=(ModelFile(name="chain", version="1", steps=(step,)),))
    place.service_file("chain").parent.mkdir(parents=True)
    place.service_file("chain").write_bytes(msgspec.json.encode(content))
    return place


def test_a_kept_pipeline_needs_the_versions_of_its_steps_and_its_environment(place: KeeperPlace) -> None:
    uses = version_uses(place.state)
    assert "triage@2" in {use.reference for use in uses}
    assert {"m/model.onnx", "m/w.bin"} <= {file for use in uses for file in use.files}
    assert {key for use in uses for key in use.keys} == {"key-of-environment"}


def test_a_service_whose_record_cannot_be_read_needs_what_its_file_names(place: KeeperPlace) -> None:
    (place.root / "wanted" / "chain.json").write_text("{")
    assert "triage@2" in {use.reference for use in version_uses(place.state)}
