"""Vectors and an order of documents over HTTP, as OpenAI's own client and others see them."""

from __future__ import annotations

import asyncio
import base64
import struct
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("tokenizers", reason="needs the extra plimsoll[retrieval]")
openai = pytest.importorskip("openai", reason="needs OpenAI's client")

import msgspec  # noqa: E402

from plimsoll.runtime.server.service_file import ModelFile, ServiceFile  # noqa: E402
from tests.indexes.cross_encoder_model import write_cross_encoder  # noqa: E402
from tests.indexes.embedding_model import DIMENSION, WORDS, write_model  # noqa: E402
from tests.runtime.conftest import Server, linear_model  # noqa: E402


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("texts")
    alone = write_model(directory / "alone")
    alone.with_name("tokenizer.json").unlink()
    models = {
        "embedder": write_model(directory / "embedder"),
        "judge": write_cross_encoder(directory / "judge"),
        "alone": alone,
        "numbers": linear_model(directory / "numbers.onnx"),
    }
    files = tuple(ModelFile(name=name, version="1", path=str(path)) for name, path in models.items())
    service = directory / "service.json"
    service.write_bytes(msgspec.json.encode(ServiceFile(models=files)))
    up = Server(None, directory, "--service", str(service))
    yield up
    assert up.stop() == 0


def client(server: Server) -> Any:  # Any: the client is imported only where there is one
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=30)


def near(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_texts_that_mean_the_same_have_vectors_that_are_near(server: Server) -> None:
    with client(server) as api:
        # The client asks for base64 by itself, and gives numbers.
        answer = api.embeddings.create(model="embedder", input=["oil", "leak", "invoice overdue"])
        oil, leak, bill = (each.embedding for each in answer.data)
        assert near(oil, leak) > 0.8
        assert abs(near(oil, bill)) < 0.1
        assert [each.index for each in answer.data] == [0, 1, 2]
        assert (answer.usage.prompt_tokens, answer.usage.total_tokens, answer.model) == (4, 4, "embedder")
        assert len(oil) == DIMENSION


def test_a_vector_is_the_same_alone_in_company_as_numbers_and_from_tokens(server: Server) -> None:
    with client(server) as api:

        def vectors(given: object, **more: object) -> list[list[float]]:
            answer = api.embeddings.create(model="embedder", input=given, encoding_format="float", **more)
            return [each.embedding for each in answer.data]

        [alone] = vectors("pump noise")
        assert vectors(["dog", "pump noise"])[1] == alone
        assert vectors([WORDS.index("pump"), WORDS.index("noise")]) == [alone]
        assert vectors([[WORDS.index("dog")], [WORDS.index("pump"), WORDS.index("noise")]])[1] == alone
        assert vectors("pump noise", dimensions=DIMENSION) == [alone]
    raw = server.client.post(
        "/v1/embeddings", json={"model": "embedder", "input": "pump noise", "encoding_format": "base64"}
    )
    coded = base64.b64decode(raw.json()["data"][0]["embedding"])
    assert list(struct.unpack(f"<{DIMENSION}f", coded)) == pytest.approx(alone)


def test_many_asynchronous_clients_get_each_their_own_vectors(server: Server) -> None:
    async def all_of_them() -> list[Any]:
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none") as api:
            words = WORDS[1:]
            asked = [api.embeddings.create(model="embedder", input=word) for word in words]
            return [answer.data[0].embedding for answer in await asyncio.gather(*asked)]

    found = asyncio.run(all_of_them())
    assert len({tuple(each) for each in found}) == len(found)


def test_documents_are_put_in_order_by_how_well_they_answer(server: Server) -> None:
    documents = ["The dog.", "oil leak of the pump", {"text": "an oil invoice"}]
    asked = {"model": "judge", "query": "oil leak pump", "documents": documents, "top_n": 2, "return_documents": True}
    answer = server.client.post("/v1/rerank", json=asked).json()
    assert [each["index"] for each in answer["results"]] == [1, 2]
    assert answer["results"][0]["document"] == {"text": "oil leak of the pump"}
    best, next_best = (each["relevance_score"] for each in answer["results"])
    assert 1 >= best > next_best >= 0
    assert answer["usage"]["total_tokens"] > 0


@pytest.mark.parametrize(
    ("path", "body", "status", "param", "words"),
    [
        ("embeddings", {"model": "embedder"}, 400, "input", "missing"),
        ("embeddings", {"input": "a"}, 400, "model", "missing"),
        ("embeddings", {"model": "embedder", "input": []}, 400, "input", "empty"),
        ("embeddings", {"model": "embedder", "input": ["a", ""]}, 400, "input[1]", "empty"),
        ("embeddings", {"model": "embedder", "input": ["a", 3]}, 400, "input[1]", "neither"),
        ("embeddings", {"model": "embedder", "input": [True]}, 400, "input[0]", "neither"),
        ("embeddings", {"model": "embedder", "input": [999]}, 400, None, "no token 999"),
        ("embeddings", {"model": "embedder", "input": "a", "dimensions": 3}, 400, None, "have 16"),
        ("embeddings", {"model": "embedder", "input": "oil " * 600}, 400, None, "600 tokens, and this model reads 512"),
        ("embeddings", {"model": "embedder", "input": "a", "encoding_format": "hex"}, 400, "encoding_format", "enum"),
        ("embeddings", {"model": "embedder", "input": "a", "truncate": True}, 400, "truncate", "no field"),
        ("embeddings", {"model": "embedder", "input": ["a"] * 2049}, 400, "input", "at most 2048"),
        ("embeddings", {"model": "embeder", "input": "a"}, 404, None, "there is no model"),
        ("embeddings", {"model": "judge", "input": "a"}, 400, None, "/v1/rerank"),
        ("embeddings", {"model": "alone", "input": "a"}, 400, None, "tokenizer.json"),
        ("embeddings", {"model": "numbers", "input": "a"}, 400, None, "takes no texts"),
        ("rerank", {"model": "embedder", "query": "a", "documents": ["a"]}, 400, None, "/v1/embeddings"),
        ("rerank", {"model": "judge", "query": "a", "documents": []}, 400, "documents", "length"),
        ("rerank", {"model": "judge", "query": "a", "documents": ["a", {"title": "b"}]}, 400, "documents[1]", "`text`"),
        ("rerank", {"model": "judge", "query": " ", "documents": ["a"]}, 400, "query", "empty"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_in_the_shape_of_the_api(
    server: Server, path: str, body: dict[str, object], status: int, param: str | None, words: str
) -> None:
    answer = server.client.post(f"/v1/{path}", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (status, param)
    assert words in error["message"]


def test_models_of_texts_are_listed_and_answer_by_their_tensors_too(server: Server) -> None:
    listed = [each["id"] for each in server.client.get("/v1/models").json()["data"]]
    assert listed == ["embedder", "judge"]
    assert server.client.get("/v1/models/judge").json()["id"] == "judge"
    assert server.client.get("/v1/models/numbers").status_code == 404
    before = server.metric('plimsoll_requests_total{code="200",model="embedder"')
    assert server.client.post("/v1/embeddings", json={"model": "embedder", "input": "oil"}).status_code == 200
    assert server.metric('plimsoll_requests_total{code="200",model="embedder"') == before + 1
