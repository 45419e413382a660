"""The example of a fine-tuning: its file, the questions that it learns from, and a training that is killed."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from plimsoll.assistants.passages import Passage
from plimsoll.assistants.prompt import RULES, build
from plimsoll.assistants.support import support
from plimsoll.kinds.table import KINDS

EXAMPLE = Path(__file__).parents[2] / "examples" / "tune"
TEXT = (
    "(contributed by A. Nonymous)\n\nUse a hash to count the words of a file. The keys of the hash are the words.\n\n"
    "    my %seen;\n\nA counter is the value. It grows with each word that is read."
)


def pairs() -> Any:  # Any: a script, which is no module of a package
    spec = importlib.util.spec_from_file_location("pairs_of_tune", EXAMPLE / "pairs.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shown(number: int, text: str, title: str = "") -> Passage:
    name = f"d{number}"
    return Passage(
        number=number, id=name, source=name, title=title, text=text, start=0, end=len(text), score=1.0, relevance=1.0
    )


def test_the_file_is_right_and_both_assistants_differ_in_the_adapter_alone() -> None:
    file = KINDS.load(EXAMPLE / "plimsoll.yaml")
    KINDS.check(file)
    before, after = (file.application.parts["assistants"][name] for name in ("before", "after"))
    assert {word for word in before.__struct_fields__ if getattr(before, word) != getattr(after, word)} == {"llm"}
    plain, tuned = (file.application.parts["llms"][name] for name in ("plain", "tuned"))
    assert {word for word in plain.__struct_fields__ if getattr(plain, word) != getattr(tuned, word)} == {"adapter"}


def test_what_is_learnt_is_asked_in_the_words_of_an_assistant() -> None:
    texts = [("How do I count words?", "Use a hash."), ("How do I sort?", "Use sort.")]
    passages = [shown(number, text, title) for number, (title, text) in enumerate(texts, 1)]
    ours = build(RULES, "How do I count?", passages, (), room=4000).messages
    theirs = pairs().messages("How do I count?", texts)

    def unmarked(text: str) -> str:
        return re.sub(r"\b[0-9a-f]{12}\b", "MARK", text)

    assert [(each["role"], unmarked(each["content"])) for each in theirs] == [
        (each.role, unmarked(each.content)) for each in ours
    ]


def test_an_answer_is_made_of_the_sentences_of_its_passage_and_stands_on_it() -> None:
    script = pairs()
    sentences = script.passage(TEXT)
    assert sentences[0] == "Use a hash to count the words of a file."
    assert not any("my %seen" in each for each in sentences)
    answer = script.answer("How do I count words?", sentences, Counter({"count": 3.0, "words": 1.0}))
    assert answer.startswith("Use a hash to count")
    assert support(sentences[0], (shown(1, TEXT),)).verdict == "supported"


def test_no_section_that_is_judged_is_learnt_from(tmp_path: Path) -> None:
    faq = tmp_path / "faq"
    faq.mkdir()
    with (faq / "faq.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "question", "text"])
        rows.writerows((f"p/{number}", f"How do I do number {number}?", TEXT) for number in range(9))
    judged = tmp_path / "judged.jsonl"
    judged.write_text('{"question": "?", "documents": ["p/3"]}\n{"question": "!", "unanswerable": true}\n')
    environment = {
        **os.environ,
        "PLIMSOLL_INPUT_FAQ": str(faq),
        "PLIMSOLL_INPUT_JUDGED": str(judged),
        "PLIMSOLL_OUTPUT": str(tmp_path),
    }
    subprocess.run([sys.executable, EXAMPLE / "pairs.py"], env=environment, check=True, capture_output=True)
    found = [json.loads(line) for line in (tmp_path / "pairs.jsonl").read_text().splitlines()]
    assert sorted(each["source"] for each in found) == [f"p/{number}" for number in range(9) if number != 3]
    assert not any("number 3?" in each["messages"][1]["content"] for each in found)
