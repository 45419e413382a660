"""Evaluates rules with regopy: a job in JSON on standard input, a line of JSON for each query on standard output.

It is started in a process of its own and imports nothing of plimsoll: text that breaks the engine breaks this alone.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def main() -> None:
    """Read the job, and answer its queries in their order."""
    # What the engine and the rules print is no answer.
    answers = os.dup(1)
    os.dup2(2, 1)
    from regopy import Interpreter

    job = json.loads(sys.stdin.buffer.read())
    interpreter = Interpreter()
    interpreter.strict_built_in_errors = True
    try:
        for file in job["files"]:
            interpreter.add_module(file["name"], file["text"])
    except Exception as error:  # noqa: BLE001 - the engine has errors of many types, and each of them is about the text
        _say(answers, {"not_rego": str(error)})
        return
    interpreter.set_input(job["input"])
    for number, query in enumerate(job["queries"]):
        _say(answers, {"begun": number})
        _say(answers, {"query": number, **_answer(interpreter, query)})


def _answer(interpreter: Any, query: str) -> dict[str, object]:
    """The value of a query, None for undefined, or what is wrong. `Any`: the engine has no types."""
    try:
        output = interpreter.query(query)
    except json.JSONDecodeError as error:
        # What is no answer is text that says what is wrong, or a text in which the engine does not escape quotes.
        said = (
            "its answer cannot be read, perhaps for quotes or an empty text in sprintf: "
            if error.doc.startswith("{")
            else ""
        )
        return {"problem": said + error.doc}
    except Exception as error:  # noqa: BLE001 - as above
        return {"problem": str(error)}
    if not output.ok():
        return {"problem": f"a function that it calls has failed: {output}"}
    text = str(output)
    if text == "undefined":
        return {"value": None}
    found = json.loads(text)
    results = found if isinstance(found, list) else [found]
    return {"value": results[0]["expressions"][0] if results else None}


def _say(answers: int, line: dict[str, object]) -> None:
    with os.fdopen(os.dup(answers), "wb") as file:
        file.write(json.dumps(line).encode() + b"\n")


if __name__ == "__main__":
    main()
