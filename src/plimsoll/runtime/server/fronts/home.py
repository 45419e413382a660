"""The page at the root of a server: what each model takes, an example, and a form that sends it. Pure.

It loads nothing: its style and its script are in it, and the browser is told to run no other.
"""

from __future__ import annotations

import json
import shlex
import urllib.parse
from collections.abc import Iterable, Mapping
from html import escape

from msgspec import Struct

from plimsoll.runtime.examples import example_records, example_request
from plimsoll.runtime.server.fronts.page_headers import page_headers, policy_of
from plimsoll.runtime.server.responses import Response, json_response
from plimsoll.runtime.specs import ModelSpec, TensorSpec

HTML = b"text/html; charset=utf-8"
_STYLE = """
:root{color-scheme:light dark;--rule:#8886;--quiet:#767676}
body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem;border-bottom:1px solid var(--rule)}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.2rem .8rem .2rem 0;vertical-align:top}
th,td,p{overflow-wrap:anywhere}textarea{width:100%;box-sizing:border-box;font:.85rem/1.4 ui-monospace,monospace}
pre{overflow:auto;font:.85rem/1.4 ui-monospace,monospace;border-left:3px solid var(--rule);padding-left:.8rem}
button{font:inherit;padding:.2rem 1rem}caption{text-align:left;font-weight:600}
"""
_SCRIPT = """
for (const form of document.querySelectorAll("form")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const shown = form.querySelector("output");
    const headers = {"content-type": "application/json"};
    const body = form.querySelector("textarea").value;
    shown.textContent = "asking …";
    const began = performance.now();
    try {
      const answer = await fetch(form.dataset.path, {method: "POST", headers, body});
      const text = await answer.text();
      let pretty = text;
      try { pretty = JSON.stringify(JSON.parse(text), null, 2); } catch { /* it is shown as it is */ }
      shown.textContent = `status ${answer.status}, ${Math.round(performance.now() - began)} ms\\n${pretty}`;
    } catch (problem) {
      shown.textContent = `no answer: ${problem.message}`;
    }
  });
}
"""


POLICY = policy_of(_STYLE, _SCRIPT)
_HEADERS = page_headers(POLICY)


class Described(Struct, frozen=True, kw_only=True):
    """A model of the server: its tensors, or why they are not known now. A language model has none."""

    name: str
    versions: tuple[str, ...] = ()
    spec: ModelSpec | None = None
    reason: str = ""
    language_model: bool = False

    @property
    def path(self) -> str:
        """Where it answers, relative to the page."""
        if self.language_model:
            return "v1/chat/completions"
        return f"v2/models/{urllib.parse.quote(self.name, safe='')}/infer"


def home(models: Iterable[Described], headers: Mapping[str, str]) -> Response:
    """The page for a browser, and the same as JSON for everybody else."""
    if "text/html" in headers.get("accept", ""):
        return Response(200, _page(list(models)).encode(errors="backslashreplace"), HTML, _HEADERS)
    return json_response(
        {"models": [_entry(model) for model in models], "metrics": "/metrics"}, 200, b"vary: accept\r\n"
    )


def _entry(model: Described) -> dict[str, object]:
    entry: dict[str, object] = {"name": model.name, "versions": model.versions}
    if model.language_model:
        return {**entry, "chat": f"/{model.path}", "example": _question(model)}
    entry["infer"] = f"/{model.path}"
    if model.spec is None:
        return {**entry, "reason": model.reason}
    spec = model.spec
    named = {"features": spec.features, "classes": spec.classes, "example": example_request(spec)}
    known = {name: value for name, value in named.items() if value}
    return {**entry, "inputs": spec.inputs, "outputs": spec.outputs, **known}


def _question(model: Described) -> dict[str, object]:
    message = {"role": "user", "content": "What can you tell me about ships?"}
    return {"model": model.name, "messages": [message], "max_tokens": 64}


def _page(models: list[Described]) -> str:
    names = ", ".join(model.name for model in models) or "no model"
    body = "".join(map(_section, models))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(names)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body><main><h1>{escape(names)}</h1><p>This server speaks the Open Inference Protocol v2. "
        f'<a href="metrics">Metrics</a> are for Prometheus.</p>{body}</main><script>{_SCRIPT}</script></body></html>'
    )


def _section(model: Described) -> str:
    title = f"<h2>{escape(model.name)}</h2>"
    if model.language_model:
        return f"{title}<p>A language model, which speaks the OpenAI API.</p>{_form(model, _question(model))}"
    if model.spec is None:
        return f"{title}<p>{escape(model.reason)}</p>"
    spec = model.spec
    parts = [title, f"<p>Versions: {escape(', '.join(model.versions))}</p>" if model.versions else ""]
    parts += [_tensors("Inputs", spec.inputs), _tensors("Outputs", spec.outputs)]
    if spec.features:
        parts.append(f"<p>Columns of the input, in this order: {escape(', '.join(spec.features))}</p>")
    if spec.classes:
        parts.append(f"<p>Classes: {escape(', '.join(spec.classes))}</p>")
    parts.append(_form(model, example_request(spec)))
    if records := example_records(spec):
        command = f"echo {shlex.quote(json.dumps(records))} | plimsoll predict SERVICE"
        parts.append(f"<p>With the command line:</p><pre>{escape(command)}</pre>")
    return "".join(parts)


def _tensors(title: str, tensors: Iterable[TensorSpec]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(each.name)}</th><td>{escape(each.datatype)}</td>'
        f"<td>{escape(' × '.join('any' if size < 0 else str(size) for size in each.shape) or 'one value')}</td></tr>"
        for each in tensors
    )
    return f"<table><caption>{title}</caption>{rows}</table>"


def _form(model: Described, example: Mapping[str, object] | None) -> str:
    if example is None:
        return "<p>Its inputs are too large for an example.</p>"
    text = escape(json.dumps(example, indent=None))
    name, path = escape(model.name), escape(model.path)
    return (
        f'<form data-path="{path}"><p><label>A request to <code>{path}</code>'
        f'<textarea rows="5" spellcheck="false" aria-label="request to {name}">{text}</textarea></label></p>'
        f"<p><button>Send it</button></p><pre><output></output></pre></form>"
    )
