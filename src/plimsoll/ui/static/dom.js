// Elements without a template language: text is always text, so that no name, log or figure becomes markup.
const SVG = "http://www.w3.org/2000/svg";

function build(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "disabled") node[name] = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  append(node, children);
  return node;
}

function append(node, children) {
  for (const child of children.flat(9)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

export function h(name, attributes, ...children) {
  return build(document.createElement(name), attributes, children);
}

export function s(name, attributes, ...children) {
  return build(document.createElementNS(SVG, name), attributes, children);
}

export function replace(node, ...children) {
  node.replaceChildren();
  append(node, children);
  return node;
}

// A table of rows: on a narrow screen each row becomes a block whose cells carry the name of their column.
export function table(caption, columns, rows, narrow = columns.length < 4) {
  return h("div", { class: "wide", tabindex: 0, role: "region", "aria-label": caption },
    h("table", { class: narrow ? "rows narrow" : "rows" },
      h("caption", { class: "hidden" }, caption),
      h("thead", null, h("tr", null, columns.map((column) =>
        h("th", { scope: "col", class: column.class, "aria-sort": column.sorted }, column.title)))),
      h("tbody", null, rows)));
}

export function cell(name, attributes, ...children) {
  return h("td", { "data-name": name, ...attributes }, ...children);
}

export function facts(pairs) {
  return h("dl", { class: "facts" }, pairs.filter((pair) => pair && pair[1] !== "" && pair[1] !== null && pair[1] !== undefined)
    .map(([name, ...value]) => [h("dt", null, name), h("dd", null, ...value)]));
}

export function clip(text) {
  return h("span", { class: "clip", title: text }, text);
}

const SIGNS = { done: "✓", cached: "=", failed: "✗", running: "▶", waiting: "·", skipped: "–", stopped: "■", killed: "✗",
  pass: "✓", fail: "✗", "not-implemented": "○", "not-applicable": "–", unknown: "?", "environment-error": "!" };

export function state(word) {
  const known = Object.hasOwn(SIGNS, word);
  return h("span", { class: known ? `state ${word}` : "state" }, `${known ? SIGNS[word] : "?"} ${word === "cached" ? "unchanged" : word}`);
}

export function sign(word) {
  return Object.hasOwn(SIGNS, word) ? SIGNS[word] : "?";
}

export function number(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return String(value);
  return String(Number(value.toPrecision(4)));
}

export function duration(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds < 0.9995) return `${Math.round(Math.max(seconds, 0) * 1000)} ms`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds), minutes = Math.floor(whole / 60), hours = Math.floor(minutes / 60);
  return hours ? `${hours} h ${minutes % 60} min` : `${minutes} min ${whole % 60} s`;
}

export function amount(bytes) {
  let size = bytes;
  for (const unit of ["B", "kB", "MB"]) {
    if (size < 1000) return `${unit === "B" || size >= 100 ? Math.round(size) : size.toFixed(1)} ${unit}`;
    size /= 1000;
  }
  return `${size.toFixed(1)} GB`;
}

export function when(seconds) {
  if (seconds === null || seconds === undefined) return "";
  const at = new Date(seconds * 1000);
  const pad = (value) => String(value).padStart(2, "0");
  const text = `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())} ${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
  return h("time", { datetime: at.toISOString(), title: at.toISOString() }, text);
}

export function problem(error) {
  const told = error && error.told ? error.told : { message: String(error && error.message ? error.message : error) };
  return h("div", { class: "problem", role: "alert" },
    h("p", null, told.where ? h("code", null, told.where) : null, told.where ? ": " : null, told.message),
    told.hint ? h("p", { class: "quiet" }, told.hint) : null);
}

// Runs a function at most once in some milliseconds, and once more for what came in between.
export function throttled(milliseconds, work) {
  let waiting = null, last = 0;
  return () => {
    if (waiting !== null) return;
    const left = Math.max(0, last + milliseconds - Date.now());
    waiting = setTimeout(() => { waiting = null; last = Date.now(); work(); }, left);
  };
}

export function pager(total, offset, limit, go) {
  const last = Math.min(total, offset + limit);
  return h("div", { class: "tools" },
    h("button", { type: "button", disabled: offset === 0, "data-key": "p", onclick: () => go(Math.max(0, offset - limit)) }, "Previous"),
    h("button", { type: "button", disabled: last >= total, "data-key": "n", onclick: () => go(offset + limit) }, "Next"),
    h("span", { class: "quiet", role: "status" }, total ? `${offset + 1}–${last} of ${total.toLocaleString("en")}` : "none"));
}

export function searchBox(label, value, change) {
  let waiting = null;
  return h("input", { type: "search", class: "grow", placeholder: label, "aria-label": label, value, "data-search": true,
    oninput: (event) => { clearTimeout(waiting); const text = event.target.value; waiting = setTimeout(() => change(text), 200); } });
}
