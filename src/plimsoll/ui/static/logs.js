// One log by pages of bytes: a million lines are never in the page at once.
import { amount, h, problem, replace } from "./dom.js";

const KEPT = 6;

export async function logView(view) {
  const [run, , name] = view.words, path = view.address("runs", run, "log");
  const box = h("div", { class: "log", tabindex: 0, role: "log", "aria-label": `Log ${name}`, "aria-live": "off" });
  const place = h("span", { class: "quiet", role: "status" });
  let pages = [], size = 0, follows = true, busy = false, found = null;

  const read = (settings) => view.get(path, { name, ...settings });
  const at = view.settings.get("at");
  const first = at === null ? await read({}) : await read({ from: Number(at) || 0 });
  follows = at === null;

  function show(page) {
    return h("pre", { "data-begin": page.begin }, marked(page, found));
  }

  function restart(page) {
    pages = [page];
    size = page.size;
    replace(box, show(page));
    tell();
  }

  function tell() {
    const begin = pages[0].begin, end = pages[pages.length - 1].end;
    replace(place, `${amount(begin)} to ${amount(end)} of ${amount(size)}${follows ? ", following" : ""}`);
  }

  async function earlier() {
    if (busy || !pages[0].begin) return;
    busy = true;
    try {
      const page = await read({ before: pages[0].begin }), high = box.scrollHeight;
      if (page.end === page.begin) return;
      pages.unshift(page);
      box.prepend(show(page));
      box.scrollTop += box.scrollHeight - high;
      if (pages.length > KEPT) { pages.pop(); box.lastChild.remove(); follows = false; }
      tell();
    } finally { busy = false; }
    await goOn(true);
  }

  // What came while a page was on its way: somebody has scrolled, or the log has grown.
  async function goOn(more) {
    if (!box.isConnected) return;
    if (box.scrollTop < 200 && pages[0].begin) await earlier();
    else if (more && follows && pages[pages.length - 1].end < size) await later();
  }

  async function later() {
    if (busy) return;
    busy = true;
    // A page without anything new ends it.
    let more = false;
    try {
      const last = pages[pages.length - 1], page = await read({ from: last.end });
      size = page.size;
      if (page.size < last.end) { restart(page); return; }
      if (page.end > last.end) {
        more = true;
        const atEnd = isAtEnd();
        pages.push(page);
        box.append(show(page));
        if (pages.length > KEPT) { const high = box.scrollHeight; pages.shift(); box.firstChild.remove(); box.scrollTop -= high - box.scrollHeight; }
        if (follows && atEnd) box.scrollTop = box.scrollHeight;
      }
      tell();
    } finally { busy = false; }
    await goOn(more);
  }

  function isAtEnd() { return box.scrollHeight - box.scrollTop - box.clientHeight < 40; }

  async function jump(settings, toEnd) {
    found = null;
    restart(await read(settings));
    box.scrollTop = toEnd ? box.scrollHeight : 0;
    follows = toEnd;
    view.set({ at: toEnd ? "" : String(pages[0].begin) });
    tell();
  }

  let text = "", searched = 0;
  async function find(again) {
    if (!text) return;
    const begin = again ? searched + 1 : 0;
    replace(place, `searching for '${text}' …`);
    const hit = await read({ find: text, from: begin });
    if (hit.begin === null) { replace(place, again ? `no more '${text}' below` : `no '${text}' here`); searched = -1; return; }
    found = text;
    restart(await read({ from: hit.begin }));
    const line = pages[0].text.indexOf("\n");
    searched = hit.begin + (line < 0 ? 0 : new TextEncoder().encode(pages[0].text.slice(0, line)).length);
    follows = false;
    box.scrollTop = 0;
    view.set({ at: String(hit.begin) });
  }

  box.addEventListener("scroll", () => {
    if (box.scrollTop < 200) earlier().catch(() => {});
    if (isAtEnd()) { if (pages[pages.length - 1].end < size) later().catch(() => {}); else if (!found) follows = true; } else follows = false;
  });
  const fail = (error) => { if (error.name !== "AbortError") replace(place, problem(error)); };
  restart(first);
  return {
    title: name,
    node: [h("h1", { tabindex: -1 }, name), h("p", null, h("a", { href: view.link("runs", run) }, `run ${run}`)),
      h("form", { class: "tools", onsubmit: (event) => { event.preventDefault(); find(found === text && searched >= 0).catch(fail); } },
        h("input", { type: "search", class: "grow", placeholder: "Find in this log, Enter for the next", "aria-label": "Find in this log", "data-search": true, oninput: (event) => { text = event.target.value; searched = 0; } }),
        h("button", { type: "submit" }, "Find"), h("button", { type: "button", onclick: () => jump({ from: 0 }, false).catch(fail) }, "Beginning"),
        h("button", { type: "button", onclick: () => jump({}, true).catch(fail) }, "End"), place), box],
    shown: () => { if (follows) box.scrollTop = box.scrollHeight; },
    take: (event) => {
      if (event.kind === "written" && Object.hasOwn(event.data, name)) {
        size = event.data[name];
        if (follows) later().catch(() => {}); else tell();
      }
    },
  };
}

function marked(page, text) {
  if (!text) return page.text;
  const at = page.text.toLowerCase().indexOf(text.toLowerCase());
  if (at < 0) return page.text;
  return [page.text.slice(0, at), h("mark", null, page.text.slice(at, at + text.length)), page.text.slice(at + text.length)];
}
