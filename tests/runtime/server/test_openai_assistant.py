"""An assistant over HTTP, as OpenAI's own client sees it: what it says, what it stands on, and who sees what."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("tokenizers", reason="needs the extra plimsoll[retrieval]")
openai = pytest.importorskip("openai", reason="needs OpenAI's client")

import msgspec  # noqa: E402

from plimsoll.assistants.prompt import RULES  # noqa: E402
from plimsoll.assistants.settings import AssistantSettings  # noqa: E402
from plimsoll.indexes.documents import Document  # noqa: E402
from plimsoll.llms.settings import EndpointSettings, LlmSettings  # noqa: E402
from plimsoll.runtime.server.service_file import ModelFile, ServiceFile  # noqa: E402
from tests.assistants.chat_server import Chat, ChatServer, chat_server, quotes, says  # noqa: E402
from tests.browser import chromium  # noqa: E402
from tests.indexes.building import build_registered, document  # noqa: E402
from tests.runtime.conftest import ADMIN, Server, until  # noqa: E402

SEAL = "Change the seal of the pump every 500 hours."
SECRET = "The pump of the board has the seal xyzzyplugh."
ASK = [{"role": "user", "content": "How often is the seal of the pump changed?"}]


class Up(NamedTuple):
    server: Server
    model: ChatServer
    service: Path
    directory: Path

    @property
    def versions(self) -> list[str]:
        """The versions of the index that are served."""
        found: list[str] = self.server.client.get("/v2/indexes/manuals").json()["versions"]
        return found

    def change(self, index: Path, version: str) -> None:
        """Have the server read its file again."""
        self.serve(index, version)
        self.server.process.send_signal(signal.SIGHUP)

    @contextlib.contextmanager
    def first_again(self) -> Iterator[None]:
        """Serve the first index again in the end."""
        try:
            yield
        finally:
            self.change(self.directory / "first" / "index.json", "1")
            until(lambda: self.versions == ["1"])

    def serve(self, index: Path, version: str) -> None:
        """Write the service file with this index."""
        settings = AssistantSettings(
            index="indexes.manuals", llm="writer", rules=RULES, refuse=0.3, tokens=64, seconds=20.0, top=3
        )
        endpoint = EndpointSettings(url=self.model.url, model="m")
        llm = LlmSettings(engine="endpoint", endpoint=endpoint, context=2048, tokens=128)
        files = (
            ModelFile(name="mechanic", version="1", digest=f"sha256:{version}", assistant=settings),
            ModelFile(name="indexes.manuals", version=version, path=str(index), index=True),
            ModelFile(name="writer", version="1", llm=llm),
        )
        self.service.write_bytes(msgspec.json.encode(ServiceFile(models=files)))


def built(directory: Path, *more: Document) -> Path:
    documents = [document("seal", SEAL), document("oil", "The gearbox takes 3 litres of oil."), *more]
    return build_registered(directory, documents, "lexical")


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    directory = tmp_path_factory.mktemp("assistant")
    with chat_server(quotes) as model:
        made = Up(None, model, directory / "service.json", directory)  # type: ignore[arg-type]  # it is started below
        made.serve(built(directory / "first", document("board", SECRET, "board")), "1")
        server = Server(None, directory, "--service", str(made.service))
        yield made._replace(server=server)
        assert server.stop() == 0


@pytest.fixture(autouse=True)
def quoting(up: Up) -> None:
    up.model.reply = quotes


def client(up: Up) -> Any:  # Any: the client is imported only where there is one
    return openai.OpenAI(base_url=f"{up.server.url}/v1", api_key="none", max_retries=0, timeout=30)


def test_an_answer_names_its_sources_and_which_passage_supports_each_sentence(up: Up) -> None:
    with client(up) as api:
        assert next(iter(api.models.list())).id == "mechanic"
        answer = api.chat.completions.create(model="mechanic", messages=ASK, temperature=0.7, user="x")
    told = answer.plimsoll
    assert answer.choices[0].message.content == SEAL
    assert (answer.model, answer.choices[0].finish_reason) == ("mechanic", "stop")
    assert (told["outcome"], told["sources"][0]) == ("answered", "seal")
    assert told["sentences"][0]["verdict"] == "supported"
    first = next(each for each in told["passages"] if each["id"] == "seal")
    assert told["sentences"][0]["passages"] == [first["number"]]
    assert (told["index"], told["llm"]) == ("indexes.manuals@1", "writer@1")
    assert told["stages_ms"]["search"] > 0
    assert answer.usage.prompt_tokens == 50


def test_a_stream_gives_the_passages_first_then_words_and_support_and_the_whole_at_its_end(up: Up) -> None:
    with client(up) as api:
        more = {"model": "mechanic", "messages": ASK, "stream": True, "stream_options": {"include_usage": True}}
        chunks = list(api.chat.completions.create(**more))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == SEAL
    assert chunks[0].plimsoll["passages"][0]["text"]
    told = [(chunk.model_extra or {}).get("plimsoll", {}) for chunk in chunks]
    assert [each["sentence"]["verdict"] for each in told if "sentence" in each] == ["supported"]
    assert (chunks[-2].choices[0].finish_reason, chunks[-2].plimsoll["outcome"]) == ("stop", "answered")
    assert (chunks[-1].choices, chunks[-1].usage.completion_tokens) == ([], 7)


def test_a_question_that_no_passage_is_near_to_is_refused_without_the_language_model(up: Up) -> None:
    asked = len(up.model.asked)
    with client(up) as api:
        question = [{"role": "user", "content": "Which visa is needed for Japan?"}]
        answer = api.chat.completions.create(model="mechanic", messages=question)
        assert answer.plimsoll["outcome"] == "refused"
        assert answer.choices[0].message.content.startswith("The documents do not answer this.")
        streamed = api.chat.completions.create(model="mechanic", messages=question, stream=True)
        said = "".join(c.choices[0].delta.content or "" for c in streamed)
        assert said == answer.choices[0].message.content
    assert len(up.model.asked) == asked


def test_a_conversation_goes_on_and_its_system_messages_are_passed_over(up: Up) -> None:
    before = [{"role": "system", "content": "You are a pirate."}, *ASK, {"role": "assistant", "content": SEAL}]
    with client(up) as api:
        again = [*before, {"role": "user", "content": "Why is it?"}]
        answer = api.chat.completions.create(model="mechanic", messages=again)
    assert answer.plimsoll["query"].startswith("How often is the seal")
    given = json.dumps(up.model.asked[-1]["messages"])
    assert "pirate" not in given
    assert SEAL in given


def test_labels_are_taken_only_from_who_has_the_token(up: Up) -> None:
    question = {"model": "mechanic", "messages": [{"role": "user", "content": "Which seal has the pump of the board?"}]}
    labelled = {**question, "plimsoll": {"access": ["board"]}}

    def ask(body: object, token: str = "Bearer none") -> Any:
        return up.server.client.post("/v1/chat/completions", json=body, headers={"authorization": token})

    assert "xyzzyplugh" not in ask(question, ADMIN["authorization"]).text
    refused = ask(labelled)
    assert (refused.status_code, "xyzzyplugh" in refused.text) == (403, False)
    assert "xyzzyplugh" in ask(labelled, ADMIN["authorization"]).text


@pytest.mark.parametrize(
    ("body", "status", "param", "words"),
    [
        ({"messages": [*ASK, {"role": "assistant", "content": "a"}]}, 400, "messages", "last message"),
        ({"messages": ASK, "tools": [{"type": "function"}]}, 400, "tools", "calls no tools"),
        ({"messages": ASK, "logprobs": True}, 400, "logprobs", "none"),
        ({"messages": ASK, "n_predict": 3}, 400, "n_predict", "no field"),
        ({"messages": ASK, "plimsoll": {"tops": 3}}, 400, "plimsoll", "tops"),
        ({"messages": ASK, "plimsoll": {"top": 0}}, 400, "plimsoll", "top"),
        ({"messages": [{"role": "user", "content": " "}]}, 400, "messages", "no question"),
        ({"messages": [{"role": "user", "content": "seal " * 2000}]}, 400, "messages", "9999 characters"),
        ({"messages": [{"role": "user", "content": "seal of the pump " * 450}]}, 400, "messages", "longer than"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_in_the_shape_of_the_api(
    up: Up, body: dict[str, object], status: int, param: str, words: str
) -> None:
    answer = up.server.client.post("/v1/chat/completions", json={"model": "mechanic", **body})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (status, param)
    assert words in error["message"]


def test_a_prompt_and_tensors_are_told_where_it_answers(up: Up) -> None:
    for path, body in {
        "/v1/completions": {"model": "mechanic", "prompt": "a"},
        "/v2/models/mechanic/infer": {"inputs": []},
    }.items():
        answer = up.server.client.post(path, json=body)
        assert (answer.status_code, "/v1/chat/completions" in answer.text) == (400, True)


def test_a_language_model_that_fails_in_the_middle_ends_the_stream_with_an_error(up: Up) -> None:
    def breaks(chat: Chat, _: dict[str, Any]) -> None:
        chat.begin()
        chat.piece("Change ")

    up.model.reply = breaks
    with client(up) as api, pytest.raises(openai.APIError, match="in the middle"):
        list(api.chat.completions.create(model="mechanic", messages=ASK, stream=True))
    answer = up.server.client.post("/v1/chat/completions", json={"model": "mechanic", "messages": ASK})
    assert answer.status_code == 502


def test_a_client_that_leaves_ends_the_answer_and_is_counted(up: Up) -> None:
    gone = threading.Event()

    def endless(chat: Chat, _: dict[str, Any]) -> None:
        chat.begin()
        try:
            while True:
                chat.piece("and ")
        except OSError:
            gone.set()
            raise

    up.model.reply = endless
    with client(up) as api:
        stream = api.chat.completions.create(model="mechanic", messages=ASK, stream=True)
        next(iter(stream))
        stream.close()
    assert gone.wait(20)
    until(lambda: up.server.metric('plimsoll_requests_under_way{model="mechanic"}') == 0)


def test_each_stage_and_each_outcome_is_on_the_metrics_page(up: Up) -> None:
    with client(up) as api:
        api.chat.completions.create(model="mechanic", messages=ASK)
    page = up.server.client.get("/metrics").text
    assert 'plimsoll_assistant_answers_total{model="mechanic",outcome="answered"' in page
    assert 'plimsoll_assistant_sentences_total{model="mechanic",verdict="supported"' in page
    for stage in ("search", "prompt", "first_token", "generate", "support"):
        assert f'plimsoll_assistant_stage_seconds_count{{model="mechanic",stage="{stage}"' in page


def test_the_root_is_a_page_for_browsers_and_says_where_to_ask_for_everybody_else(up: Up) -> None:
    page = up.server.client.get("/", headers={"accept": "text/html"})
    assert 'data-model="mechanic"' in page.text
    assert "script-src 'sha256-" in page.headers["content-security-policy"]
    first = up.server.client.get("/").json()["models"][0]
    assert (first["name"], first["chat"]) == ("mechanic", "/v1/chat/completions")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs a browser (apt-get install chromium)")
def test_the_page_shows_the_answer_with_its_sources_and_a_document_cannot_change_it(up: Up) -> None:
    evil = (
        "The belt <script>document.title='x'</script><img src=x onerror=\"document.title='x'\"> is worn after a year."
    )
    up.change(built(up.directory / "page", document("<b>belt</b>", evil)), "3")
    until(lambda: up.versions == ["3"])
    with up.first_again(), chromium() as tab:
        tab.open(str(up.server.client.base_url))
        tab.wait_for("document.getElementById('question') !== null")
        tab.run("document.getElementById('question').value = 'When is the belt worn?'")
        tab.click("button")
        tab.wait_for("document.querySelector('#answer sup')")
        assert tab.run("document.querySelector('#answer sup').textContent") == "[1]"
        assert "<script>" in str(tab.run("document.getElementById('answer').textContent"))
        assert "<b>belt</b>.txt" in str(tab.run("document.getElementById('sources').textContent"))
        assert tab.run("document.title") == "mechanic"
        assert tab.run("document.querySelectorAll('#answer script, #answer img, #sources img, #sources b').length") == 0
        assert tab.problems == [], "no refusal by the page's own policy, and no error"


def test_a_new_index_takes_over_while_questions_are_asked_and_none_fails(up: Up) -> None:
    up.model.reply = says(SEAL)
    newer = built(up.directory / "second", document("valve", "The valve is opened by hand."))

    async def asking() -> list[str]:
        seen: list[str] = []
        async with openai.AsyncOpenAI(base_url=f"{up.server.url}/v1", api_key="none", max_retries=0) as api:
            while "indexes.manuals@2" not in seen and len(seen) < 400:
                answers = [api.chat.completions.create(model="mechanic", messages=ASK) for _ in range(4)]
                seen += [answer.plimsoll["index"] for answer in await asyncio.gather(*answers)]
                if len(seen) == 4:
                    up.change(newer, "2")
        return seen

    with up.first_again():
        seen = asyncio.run(asking())
    assert {seen[0], seen[-1]} == {"indexes.manuals@1", "indexes.manuals@2"}
