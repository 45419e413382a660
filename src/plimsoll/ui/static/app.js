// The frame of the page: addresses, rooms, keys, theme, and the stream of events.
import { actTold, listActs } from "./acts.js";
import { LOGS_IN, address, events, get, takeToken } from "./api.js";
import { h, problem, replace } from "./dom.js";
import { runsView } from "./runs.js";
import { parse, started } from "./start.js";

const ROOMS = [["runs", "Runs", "r"], ["sweeps", "Sweeps", "w"], ["models", "Models", "m"], ["services", "Services", "s"], ["devices", "Devices", "d"], ["checks", "Checks", "c"]];
// What is not the first page comes when somebody opens it.
const later = (file, name) => async (view) => (await import(file))[name](view);
const logView = later("./logs.js", "logView");
// Each view: the words of its address after the place, by their number.
const VIEWS = {
  runs: { 0: runsView, 1: later("./run.js", "runView"), 3: logView }, compare: { 2: later("./compare.js", "compareView") },
  sweeps: { 0: later("./sweeps.js", "sweepsView"), 1: later("./sweeps.js", "sweepView") },
  models: { 0: later("./models.js", "modelsView"), 1: later("./models.js", "modelView") },
  services: { 0: later("./services.js", "servicesView"), 1: later("./services.js", "serviceView") },
  devices: { 0: later("./devices.js", "devicesView") },
  checks: { 0: later("./checks.js", "checksView"), 1: later("./checks.js", "checkView") },
};
const main = document.getElementById("main"), chooser = document.getElementById("place");
const liveSign = document.getElementById("live"), dialog = document.getElementById("dialog");
let places = [], current = null, closeEvents = () => {}, streamed = "", first = null;

export function link(place, ...words) {
  return `#/${[place, ...words].map(encodeURIComponent).join("/")}`;
}

async function show() {
  const asked = parse();
  const place = places.find((each) => each.id === asked.place) || (asked.place ? null : places[0]);
  if (current) current.leaving.abort();
  const view = VIEWS[asked.room] && VIEWS[asked.room][asked.words.length];
  if (!place || !view) {
    current = null;
    replace(main, problem({ told: { message: place ? "there is no such page" : `there is no place '${asked.place}'`, hint: "choose another above" } }));
    return;
  }
  const leaving = new AbortController();
  // What is told while the page is made waits until it can take it.
  const early = [];
  const shown = { ...asked, place: place.id, target: place.target, leaving, signal: leaving.signal, take: (event) => early.push(event) };
  const keepsFocus = current && current.room === asked.room && String(current.words) === String(asked.words);
  current = shown;
  // The rows that came with the places, for the page that was asked for with them.
  shown.first = first && first.place === place.id ? first.rows : null;
  first = null;
  shown.link = (...words) => link(place.id, ...words);
  shown.address = (...words) => address(place.id, ...words);
  // A page asks anew when something has changed, and when somebody turns it: the older answer may come last.
  const asking = new Map();
  shown.newest = (path, settings) => {
    if (asking.has(path)) asking.get(path).abort();
    const own = new AbortController();
    asking.set(path, own);
    return get(path, settings, AbortSignal.any([leaving.signal, own.signal]));
  };
  shown.get = (path, settings) => get(path, settings, leaving.signal);
  // Changes settings in the address without a new entry for every letter that is typed.
  shown.set = (changes, settings) => {
    const query = new URLSearchParams(settings || shown.settings);
    for (const [name, value] of Object.entries(changes)) {
      query.delete(name);
      for (const each of Array.isArray(value) ? value : [value]) if (each !== "" && each !== null && each !== 0) query.append(name, each);
    }
    shown.settings = query;
    const text = query.toString();
    history.replaceState(null, "", link(place.id, asked.room, ...asked.words) + (text ? `?${text}` : ""));
  };
  chooser.value = place.id;
  renderRooms(place.id, asked.room === "compare" ? "runs" : asked.room);
  watch(place.id, ["runs", "sweeps"].includes(asked.room) && asked.words[0] ? asked.words[0] : "");
  try {
    const made = await view(shown);
    if (leaving.signal.aborted) return;
    document.title = `${made.title} · Plimsoll`;
    shown.take = made.take || (() => {});
    replace(main, made.node);
    if (!keepsFocus) (main.querySelector("h1") || main).focus({ preventScroll: true });
    if (made.shown) made.shown();
    early.forEach(shown.take);
  } catch (error) {
    if (!leaving.signal.aborted) replace(main, h("h1", { tabindex: -1 }, "This cannot be shown"), problem(error));
  }
}

function renderRooms(place, room) {
  replace(document.getElementById("rooms"), ROOMS.map(([word, title]) =>
    h("a", { href: link(place, word), "aria-current": word === room ? "page" : null }, title)));
}

function renderPlaces() {
  replace(chooser, places.map((each) => h("option", { value: each.id },
    `${each.application || each.id}${each.target === "local" ? "" : ` on ${each.target}`}`)));
}

// One stream; a page of a run watches its logs and curves too.
function watch(place, run) {
  const wanted = `${place} ${run}`;
  if (wanted === streamed) return;
  streamed = wanted;
  closeEvents();
  closeEvents = events({ place, run }, take, (word, error) => {
    liveSign.className = `live ${word}`;
    liveSign.textContent = word === "on" ? "live" : word === "off" ? "not connected" : "refused";
    if (word === "refused") replace(main, problem(error));
    if (word === "on") for (const each of places) listActs(each.id).catch(() => {});
  });
}

// A browser opens few connections to a server, over all of its tabs: a page that nobody sees gives its own back.
function pause() {
  closeEvents();
  streamed = "";
  liveSign.className = "live";
  liveSign.textContent = "paused";
}

window.addEventListener("pagehide", pause);
// A log stays where somebody reads it: the stream tells how far it has grown.
function resume() {
  if (!current) return;
  if (VIEWS[current.room][current.words.length] === logView) watch(current.place, current.words[0]); else show();
}

window.addEventListener("pageshow", (event) => { if (event.persisted) resume(); });
document.addEventListener("visibilitychange", () => { if (document.visibilityState === "hidden") pause(); else resume(); });

function take(event) {
  if (event.kind === "act") actTold(event.data);
  if (event.kind === "anew") { refreshPlaces().catch(() => {}); resume(); return; }
  if (current && (event.place === current.place || !event.place)) current.take(event);
}

async function refreshPlaces() {
  places = (await get("/api/places")).places;
  const before = chooser.value;
  renderPlaces();
  chooser.value = before;
}

function keys() {
  const rows = [["g r", "runs"], ["g w", "sweeps"], ["g m", "models"], ["g s", "services"], ["g d", "devices"], ["g c", "checks"], ["/", "search"], ["j, k", "next or previous row"],
    ["Enter", "open the row"], ["x", "choose the row for a comparison"], ["n, p", "next or previous page"], ["?", "these keys"]];
  replace(dialog, h("h2", { id: "dialog-title" }, "Keys"),
    h("dl", { class: "facts" }, rows.map(([key, what]) => [h("dt", null, h("kbd", null, key)), h("dd", null, what)])),
    h("div", { class: "tools" }, h("button", { type: "button", onclick: () => dialog.close() }, "Close")));
  dialog.showModal();
}

let chord = false;
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || dialog.open) return;
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== "checkbox") {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (chord) {
    chord = false;
    const room = ROOMS.find((each) => each[2] === event.key);
    if (room && current) { location.hash = link(current.place, room[0]); event.preventDefault(); }
    return;
  }
  if (event.key === "g") { chord = true; setTimeout(() => { chord = false; }, 1500); return; }
  if (event.key === "?") { keys(); event.preventDefault(); return; }
  if (event.key === "/") { const box = main.querySelector("[data-search]"); if (box) { box.focus(); event.preventDefault(); } return; }
  if (event.key === "n" || event.key === "p") { const button = main.querySelector(`[data-key="${event.key}"]:not(:disabled)`); if (button) button.click(); return; }
  if (event.key === "j" || event.key === "k") { move(event.key === "j" ? 1 : -1); event.preventDefault(); return; }
  if (event.key === "x") { const box = document.activeElement.closest && document.activeElement.closest("tr"); const mark = box && box.querySelector("input[type=checkbox]"); if (mark) mark.click(); }
});

function move(by) {
  const links = [...main.querySelectorAll("tbody tr")].map((row) => row.querySelector("a")).filter(Boolean);
  const row = document.activeElement.closest ? document.activeElement.closest("tr") : null;
  const at = row ? links.findIndex((each) => each.closest("tr") === row) : -1;
  const next = links[Math.max(0, Math.min(links.length - 1, at + by))];
  if (next) { next.focus(); next.scrollIntoView({ block: "nearest" }); }
}

const THEMES = ["", "light", "dark"];
function theme(word) {
  if (word) document.documentElement.dataset.theme = word; else delete document.documentElement.dataset.theme;
  localStorage.setItem("plimsoll-theme", word);
  document.getElementById("theme").textContent = word ? `Theme: ${word}` : "Theme";
}

document.getElementById("theme").addEventListener("click", () => theme(THEMES[(THEMES.indexOf(localStorage.getItem("plimsoll-theme") || "") + 1) % 3]));
document.getElementById("keys").addEventListener("click", keys);
document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
chooser.addEventListener("change", () => { location.hash = link(chooser.value, current ? (current.room === "compare" ? "runs" : current.room) : "runs"); });
window.addEventListener("hashchange", () => {
  if (location.hash.startsWith("#token=")) { takeToken(); location.reload(); return; }
  show();
});

function offerLogout() {
  const out = h("button", { type: "button" }, "Log out");
  out.addEventListener("click", () => fetch("/logout", { method: "POST", credentials: "same-origin" }).finally(() => location.assign("/login")));
  document.getElementById("keys").after(out);
}

async function begin() {
  if (LOGS_IN) offerLogout();
  theme(localStorage.getItem("plimsoll-theme") || "");
  if (!started) {
    replace(main, problem({ told: { message: "the address has no token", hint: "open the address that plimsoll ui printed" } }));
    return;
  }
  try {
    const told = await started;
    places = told.places;
    first = told.runs || null;
  } catch (error) {
    replace(main, problem(error));
    return;
  }
  renderPlaces();
  await show();
  for (const place of places) listActs(place.id).catch(() => {});
}

begin();
