// Two runs beside each other: what they began with, what came out, and their curves.
import { lines } from "./charts.js";
import { cell, duration, h, number, pager, replace, searchBox, state, table } from "./dom.js";

const LIMIT = 50, CHARTS = 24;

export async function compareView(view) {
  const [first, second] = view.words, path = view.address("compare", first, second);
  const body = h("div"), charts = h("div");
  let text = "", offset = 0, differing = true;

  async function load() {
    const page = await view.newest(path, { text, offset, limit: LIMIT, differing });
    replace(body, table("Figures of both runs", [{ title: "figure" }, { title: name(page.runs[0]), class: "figure" }, { title: name(page.runs[1]), class: "figure" }, { title: "difference", class: "figure" }],
      page.figures.map(([figure, one, other]) => h("tr", null, cell("", null, figure), cell(name(page.runs[0]), { class: "figure" }, number(one)),
        cell(name(page.runs[1]), { class: "figure" }, number(other)), cell("difference", { class: "figure" }, difference(one, other))))),
    pager(page.total, offset, LIMIT, (next) => { offset = next; load().catch(() => {}); }));
    return page;
  }

  async function loadCurves(runs) {
    const both = await Promise.all(runs.map((run) => view.get(view.address("runs", run.run, "curves"), { limit: CHARTS })));
    const merged = new Map();
    both.forEach((found, place) => {
      for (const { title, series } of found.charts) {
        merged.set(title, [...(merged.get(title) || []), ...series.map(([each, points]) => [`${each}, ${name(runs[place])}`, points])]);
      }
    });
    if (merged.size) replace(charts, h("h2", null, "Curves"), h("div", { class: "charts" }, [...merged].slice(0, CHARTS).map(([title, group]) => lines(title, group, (x) => `step ${number(x)}`))));
  }

  const page = await load();
  loadCurves(page.runs).catch(() => {});
  const changed = Object.entries(page.changed);
  return {
    title: `${name(page.runs[0])} and ${name(page.runs[1])}`,
    node: [h("h1", { tabindex: -1 }, `${name(page.runs[0])} and ${name(page.runs[1])}`),
      h("p", null, page.runs.map((run, place) => [place ? ", " : "", h("a", { href: view.link("runs", run.run) }, name(run)), " ", state(run.state)])),
      h("h2", null, "What changed"),
      h("ul", null, changed.map(([kind, names]) => h("li", null, names.length ? [h("b", null, kind), ": ", names.join(", ")] : h("span", { class: "quiet" }, `${kind}: the same`)))),
      Object.keys(page.parameters).length ? pairs("Parameters", page, page.parameters, String) : null,
      h("h2", null, "Figures"),
      h("div", { class: "tools" }, searchBox("Find figures", "", (typed) => { text = typed; offset = 0; load().catch(() => {}); }),
        h("label", null, h("input", { type: "checkbox", checked: true, onchange: (event) => { differing = event.target.checked; offset = 0; load().catch(() => {}); } }), " only those that differ")),
      body, charts, Object.keys(page.seconds).length ? pairs("Time", page, page.seconds, duration) : null],
  };
}

function pairs(title, page, values, shown) {
  return [h("h2", null, title), table(title, [{ title: "" }, { title: name(page.runs[0]), class: "figure" }, { title: name(page.runs[1]), class: "figure" }],
    Object.entries(values).map(([key, [one, other]]) => h("tr", null, cell("", null, key), cell(name(page.runs[0]), { class: "figure" }, one === null ? "–" : shown(one)),
      cell(name(page.runs[1]), { class: "figure" }, other === null ? "–" : shown(other)))))];
}

function name(run) { return `run ${run.number || run.run}`; }

export function difference(one, other) {
  if (one === null || other === null) return "–";
  const found = other - one;
  return `${found > 0 ? "+" : ""}${number(found)}`;
}
