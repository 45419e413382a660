"""The page at the root of a server."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import shutil

import pytest

from plimsoll.runtime.examples import example_records, example_request
from plimsoll.runtime.server.fronts.home import POLICY, Described, home
from plimsoll.runtime.specs import ModelSpec, TensorSpec
from tests.browser import chromium
from tests.runtime.conftest import Server

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def spec(name: str = "m", *inputs: TensorSpec, features: tuple[str, ...] = ()) -> ModelSpec:
    return ModelSpec(name=name, inputs=inputs, outputs=(), features=features)


def test_a_client_gets_the_models_as_json_with_an_example_that_the_server_takes(linear: Server) -> None:
    answer = linear.client.get("/")
    assert answer.status_code == 200
    (model,) = answer.json()["models"]
    assert model["name"] == "m"
    assert model["features"] == ["left", "right"]
    asked = linear.client.post(model["infer"], json=model["example"])
    assert asked.status_code == 200
    assert [output["name"] for output in asked.json()["outputs"]] == ["score", "label"]


def test_a_browser_gets_a_page_that_may_run_nothing_but_its_own_script(linear: Server) -> None:
    answer = linear.client.get("/", headers=BROWSER)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    for tag, directive in (("style", "style-src"), ("script", "script-src")):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert not re.search(r'(src|href)="(https?:)?//', answer.text)
    (example,) = re.findall(r"<textarea[^>]*>(.*?)</textarea>", answer.text)
    assert linear.client.post("/v2/models/m/infer", content=html.unescape(example)).status_code == 200


def test_the_root_accepts_get_and_head_alone(linear: Server) -> None:
    assert linear.client.head("/").status_code == 200
    assert linear.client.post("/", content=b"").status_code == 405


def test_names_of_models_are_text_and_nothing_else() -> None:
    evil = "<script>alert(1)</script>\"'&/x"
    tensor = TensorSpec(name=evil, datatype="FP32", shape=(-1,))
    response = home([Described(name=evil, spec=spec(evil, tensor)), Described(name="z", reason=evil)], BROWSER)
    assert isinstance(response.body, bytes)
    assert response.body.count(b"<script>") == 1
    assert b"%2Fx/infer" in response.body
    assert POLICY.encode() in response.headers


def test_examples_have_a_value_of_each_datatype_and_none_is_made_that_nobody_can_read() -> None:
    text, flag, count = (
        TensorSpec(name=name, datatype=datatype, shape=(-1, 1))
        for name, datatype in (("city", "BYTES"), ("lift", "BOOL"), ("rooms", "INT64"))
    )
    made = example_request(spec("m", text, flag, count))
    assert made is not None
    assert [tensor["data"] for tensor in made["inputs"]] == [["text"], [False], [1]]  # type: ignore[attr-defined]
    assert example_records(spec("m", text, flag, count)) == [{"city": "text", "lift": False, "rooms": 1}]
    matrix = TensorSpec(name="x", datatype="FP32", shape=(-1, 2))
    assert example_records(spec("m", matrix, features=("a", "b"))) == [{"a": 0.5, "b": 0.5}]
    image = TensorSpec(name="image", datatype="FP32", shape=(-1, 3, 224, 224))
    assert example_request(spec("m", image)) is None
    assert example_records(spec("m", image)) is None


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs a browser (apt-get install chromium)")
def test_a_click_sends_the_example_and_shows_the_answer(linear: Server) -> None:
    with chromium() as tab:
        tab.open(str(linear.client.base_url))
        tab.click("button")
        tab.wait_for("document.querySelector('output').textContent.includes('score')")
        text = str(tab.run("document.querySelector('output').textContent"))
        assert text.startswith("status 200, ")
        assert json.loads(text.partition("\n")[2])["model_name"] == "m"
        assert tab.problems == [], "no refusal by the page's own policy, and no error"
