// The table of runs: sorted, filtered and cut by the server, with the columns that somebody asked for.
import { cell, clip, duration, h, number, pager, replace, searchBox, state, table, throttled, when } from "./dom.js";
import { LIMIT, rowsOf } from "./start.js";

const STATES = ["running", "done", "failed", "stopped", "killed"];

export async function runsView(view) {
  const chosen = new Set();
  const body = h("div"), bar = h("div", { class: "chips" }), status = h("p", { class: "quiet", role: "status" });
  const compare = h("button", { type: "button", disabled: true, onclick: () => {
    const [one, other] = chosen; location.hash = view.link("compare", one, other).slice(1);
  } }, "Compare");
  let fresh = new Set();

  const settings = () => rowsOf(view.settings);

  async function load(known) {
    const asked = settings();
    render(known || await view.newest(view.address("runs"), asked), asked);
  }

  function change(changes) {
    view.set({ offset: 0, ...changes });
    load().catch(fail);
  }

  function fail(error) {
    if (error.name !== "AbortError") replace(status, error.message);
  }

  function heading(key, title, style, attributes) {
    const asked = settings(), sorted = asked.sort === key;
    const arrow = sorted ? (asked.descending ? " ↓" : " ↑") : "";
    return { class: style, sorted: sorted ? (asked.descending ? "descending" : "ascending") : null,
      title: h("button", { type: "button", class: "plain", ...attributes, onclick: () => change({ sort: key, descending: sorted && asked.descending ? "false" : "" }) }, title, arrow) };
  }

  function render(page, asked) {
    const columns = [{ title: h("span", { class: "hidden" }, "compare") }, heading("number", "run", "whole"), heading("state", "state"), heading("started", "started", "whole"),
      heading("seconds", "time", "figure"), heading("steps", "steps", "figure"),
      ...(asked.column.length ? asked.column.map((name) => heading(`figure:${name}`, clip(name), "figure")) : [{ title: "figures" }]),
      { title: "parameters" }];
    const rows = page.rows.map((row) => h("tr", { class: fresh.has(row.run) ? "new" : null, "data-run": row.run },
      cell("", null, h("input", { type: "checkbox", "aria-label": `choose run ${row.number || row.run}`, checked: chosen.has(row.run), onchange: (event) => choose(row.run, event.target) })),
      cell("run", { class: "whole" }, h("a", { href: view.link("runs", row.run), title: row.run }, row.number ? String(row.number) : row.run)),
      cell("", null, state(row.state), row.doing && row.state === "running" ? h("span", { class: "quiet" }, ` ${row.doing}`) : null,
        row.reason ? h("div", { class: "quiet" }, clip(row.reason)) : null),
      cell("started", { class: "whole" }, when(row.started)),
      cell("time", { class: "figure" }, row.ended ? duration(row.ended - row.started) : ""),
      cell("steps", { class: "figure" }, `${row.done + row.cached} of ${row.steps}`),
      asked.column.length ? asked.column.map((name) => cell(name, { class: "figure" }, number(row.figures[name])))
        : cell("figures", null, row.headline.map(([name, value], place) => [place ? ", " : null, `${name} `, h("b", null, number(value))])),
      cell("parameters", null, Object.entries(row.parameters).map(([name, value]) => `${name}=${value}`).join(", "))));
    fresh = new Set();
    const focused = document.activeElement && body.contains(document.activeElement) ? document.activeElement.closest("tr") : null;
    replace(body, table(`Runs, page from ${asked.offset + 1}`, columns, rows),
      pager(page.total, asked.offset, LIMIT, (offset) => { view.set({ offset }); load().catch(fail); }));
    if (focused && focused.dataset.run) {
      const row = body.querySelector(`tr[data-run="${CSS.escape(focused.dataset.run)}"] a`);
      if (row) row.focus({ preventScroll: true });
    }
    replace(status, page.unread ? `${page.unread.toLocaleString("en")} journals are still to be read` : "");
    replace(bar, asked.column.map((name) => h("button", { type: "button", title: "leave this column out", onclick: () => change({ column: asked.column.filter((each) => each !== name) }) }, `${name} ×`)));
  }

  function choose(run, box) {
    if (box.checked) chosen.add(run); else chosen.delete(run);
    while (chosen.size > 2) { const first = [...chosen][0]; chosen.delete(first); const row = body.querySelector(`tr[data-run="${CSS.escape(first)}"] input`); if (row) row.checked = false; }
    compare.disabled = chosen.size !== 2;
  }

  const again = throttled(400, () => load().catch(fail));
  await load(view.first);
  return {
    title: "Runs",
    node: [h("h1", { tabindex: -1 }, "Runs"),
      h("div", { class: "tools" }, searchBox("Search runs by number, id, parameter or reason", settings().text, (text) => change({ text })),
        h("select", { "aria-label": "State", value: settings().state, onchange: (event) => change({ state: event.target.value }) },
          h("option", { value: "" }, "every state"), STATES.map((word) => h("option", { value: word, selected: word === settings().state }, word))),
        columnChooser(view, () => settings().column, (column) => change({ column })), compare),
      bar, status, body],
    take: (event) => {
      if (event.kind === "run" && event.data) {
        fresh.add(event.subject);
        again();
      } else if (event.kind === "runs") again();
    },
  };
}

// Figures are many: the names come from the server as somebody types.
function columnChooser(view, chosen, change) {
  const list = h("div", { class: "chips" }), count = h("p", { class: "quiet", role: "status" });
  async function find(text) {
    const found = await view.newest(view.address("columns"), { text, limit: 40 });
    replace(count, `${found.names.length} of ${found.total.toLocaleString("en")} figures`);
    replace(list, found.names.map((name) => h("button", { type: "button", "aria-pressed": String(chosen().includes(name)), onclick: () => {
      const now = chosen();
      change(now.includes(name) ? now.filter((each) => each !== name) : [...now, name].slice(-12));
      find(text).catch(() => {});
    } }, name)));
  }
  const opened = h("details", { ontoggle: (event) => { if (event.target.open) find("").catch(() => {}); } },
    h("summary", null, "Columns"), h("div", { class: "tools" }, searchBox("Find figures", "", (text) => find(text).catch(() => {}))), count, list);
  return opened;
}
