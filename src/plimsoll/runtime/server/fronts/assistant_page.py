"""The page at the root of an assistant's server: a question, the answer as it is written, and its sources. Pure.

It loads nothing, as the home page. What documents, questions and answers say is put in as text and never as markup.
"""

from __future__ import annotations

from html import escape

from plimsoll.runtime.server.fronts.page_headers import page_headers, policy_of
from plimsoll.runtime.server.responses import Response

HTML = b"text/html; charset=utf-8"
_STYLE = """
:root{color-scheme:light dark;--quiet:color-mix(in srgb,CanvasText 70%,Canvas);--mark:#0a7d3c;--none:#b3261e}
@media (prefers-color-scheme:dark){:root{--mark:#5fd38d;--none:#ff8a80}}
body{font:16px/1.5 system-ui,sans-serif;max-width:68rem;margin:0 auto;padding:1rem}
h1{font-size:1.4rem}h2{font-size:1.05rem}
form{display:flex;flex-wrap:wrap;gap:.5rem}label{flex:1 1 100%;font-weight:600}
textarea{flex:1 1 16rem;font:inherit;padding:.4rem;min-height:3rem;box-sizing:border-box}
button{font:inherit;padding:.4rem 1.2rem}
main{display:grid;gap:1.5rem;grid-template-columns:minmax(0,1fr)}
@media (min-width:50rem){main{grid-template-columns:minmax(0,3fr) minmax(0,2fr)}form,h1{grid-column:1/-1}}
#answer,li{overflow-wrap:anywhere}#answer{white-space:pre-wrap;min-height:3rem}
ol{padding-left:1.6rem}li{margin-bottom:.8rem}li p{margin:.2rem 0;white-space:pre-wrap}
.quiet,#state{color:var(--quiet)}sup{font-weight:600;padding-left:.15em}.supported{color:var(--mark)}.none{color:var(--none)}
"""
_SCRIPT = """
const at = (id) => document.getElementById(id);
const form = at("ask"), answer = at("answer"), sources = at("sources"), state = at("state"), stop = at("stop");
const made = (tag, text, kind) => {
  const element = document.createElement(tag);
  element.textContent = text;
  if (kind) element.className = kind;
  return element;
};
const history = [];
let running = null;
const passages = (found) => sources.replaceChildren(...found.map((each) => {
  const item = made("li", "");
  item.value = each.number;
  item.append(made("strong", each.source), made("span", `, characters ${each.start} to ${each.end}`, "quiet"));
  item.append(made("p", each.text));
  return item;
}));
const marked = (sentence) => {
  if (sentence.verdict === "empty") return;
  const known = sentence.verdict === "supported";
  const mark = made("sup", known ? `[${sentence.passages.join(", ")}]` : "[?]", known ? "supported" : "none");
  if (!known) mark.title = "no passage supports this sentence";
  answer.append(mark);
};
const take = (event) => {
  if (event.error) throw new Error(event.error.message);
  const told = event.plimsoll || {}, said = event.choices?.[0]?.delta?.content;
  if (told.passages) passages(told.passages);
  if (said) answer.append(said);
  if (told.sentence) marked(told.sentence);
  if (told.outcome) state.textContent = {
    answered: "", unsupported: "No sentence of this answer has support in the documents.",
    refused: "The documents do not answer this; the nearest are shown.",
  }[told.outcome];
  return said || "";
};
form.addEventListener("submit", async (submitted) => {
  submitted.preventDefault();
  const question = at("question").value.trim();
  if (!question || running) return;
  running = new AbortController();
  stop.hidden = false;
  answer.replaceChildren();
  sources.replaceChildren();
  state.textContent = "searching …";
  let whole = "", held = "";
  try {
    const response = await fetch("v1/chat/completions", {
      method: "POST", signal: running.signal, headers: {"content-type": "application/json"},
      body: JSON.stringify({model: form.dataset.model, stream: true,
        messages: [...history.slice(-10), {role: "user", content: question}]}),
    });
    if (!response.ok) throw new Error((await response.json()).error.message);
    state.textContent = "";
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const {value, done} = await reader.read();
      if (done) break;
      const events = (held + value).split("\\n\\n");
      held = events.pop();
      for (const each of events) {
        const data = each.replace(/^data: ?/, "");
        if (data !== "[DONE]") whole += take(JSON.parse(data));
      }
    }
    history.push({role: "user", content: question}, {role: "assistant", content: whole});
  } catch (problem) {
    state.textContent = problem.name === "AbortError" ? "stopped" : `no answer: ${problem.message}`;
  }
  running = null;
  stop.hidden = true;
});
stop.addEventListener("click", () => running?.abort());
at("question").addEventListener("keydown", (key) => {
  if (key.key === "Enter" && !key.shiftKey) { key.preventDefault(); form.requestSubmit(); }
});
"""


POLICY = policy_of(_STYLE, _SCRIPT)
_HEADERS = page_headers(POLICY)


def assistant_page(name: str) -> Response:
    """The page of the assistant of this name."""
    shown = escape(name, quote=True)
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{shown}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f'<body><main><h1>{shown}</h1><form id="ask" data-model="{shown}">'
        '<label for="question">Your question</label><textarea id="question" rows="2" required></textarea>'
        '<button>Ask</button><button type="button" id="stop" hidden>Stop</button></form>'
        '<section aria-labelledby="said"><h2 id="said">Answer</h2><div id="answer" aria-live="polite"></div>'
        '<p id="state" role="status"></p></section>'
        '<aside aria-labelledby="stands"><h2 id="stands">What it stands on</h2><ol id="sources"></ol></aside>'
        f"</main><script>{_SCRIPT}</script></body></html>"
    )
    return Response(200, page.encode(), HTML, _HEADERS)
