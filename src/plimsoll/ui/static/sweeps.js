// Sweeps: the list of them, and the trials of one beside the objective over each parameter.
import { stopButton } from "./acts.js";
import { scatter } from "./charts.js";
import { cell, clip, duration, facts, h, number, pager, replace, searchBox, state, table, throttled, when } from "./dom.js";

const LIMIT = 50;

export async function sweepsView(view) {
  const body = h("div");
  async function load() {
    const offset = Number(view.settings.get("offset")) || 0;
    const page = await view.newest(view.address("runs"), { sweeps: true, text: view.settings.get("text") || "", offset, limit: LIMIT });
    const rows = page.rows.map(({ run, number: place, state: word, started, sweep, parameters }) => h("tr", { "data-run": run },
      cell("run", { class: "whole" }, h("a", { href: view.link("sweeps", run), title: run }, place ? String(place) : run)),
      cell("", null, state(word)), cell("model", null, sweep.model), cell("objective", null, `${sweep.maximize ? "highest" : "lowest"} ${sweep.objective}`),
      cell("best", { class: "figure" }, sweep.best === null ? "–" : number(sweep.best)), cell("trials", { class: "figure" }, `${sweep.ended} of ${sweep.trials}`),
      cell("started", { class: "whole" }, when(started)), cell("searched", null, Object.entries(parameters).map(([name, value]) => `${name}=${value}`).join(", "))));
    replace(body, page.total ? table("Sweeps", [{ title: "run", class: "whole" }, { title: "state" }, { title: "model" }, { title: "objective" }, { title: "best", class: "figure" },
      { title: "trials", class: "figure" }, { title: "started", class: "whole" }, { title: "searched" }], rows)
      : h("p", { class: "quiet" }, "No run is a sweep, or none has this text. ", h("code", null, "plimsoll sweep"), " begins one."),
    pager(page.total, offset, LIMIT, (next) => { view.set({ offset: next }); load().catch(() => {}); }));
  }
  await load();
  const again = throttled(400, () => load().catch(() => {}));
  return {
    title: "Sweeps",
    node: [h("h1", { tabindex: -1 }, "Sweeps"), h("div", { class: "tools" }, searchBox("Search sweeps by run, parameter or reason", view.settings.get("text") || "", (text) => { view.set({ text, offset: 0 }); load().catch(() => {}); })), body],
    take: (event) => { if (event.kind === "runs" || (event.kind === "run" && event.data && event.data.sweep)) again(); },
  };
}

export async function sweepView(view) {
  const path = view.address("sweeps", view.words[0]), run = view.address("runs", view.words[0]);
  const top = h("div"), plots = h("div", { class: "charts" }), body = h("div");
  let sweep = null;

  function heading(key, title, style) {
    const sorted = view.settings.get("sort") === key, down = view.settings.get("descending") === "true";
    return { class: style, sorted: sorted ? (down ? "descending" : "ascending") : null,
      title: h("button", { type: "button", class: "plain", onclick: () => { view.set({ sort: key, descending: sorted && !down ? "true" : "", offset: 0 }); load().catch(() => {}); } }, title, sorted ? (down ? " ↓" : " ↑") : "") };
  }

  async function load() {
    const offset = Number(view.settings.get("offset")) || 0;
    sweep = await view.newest(path, { sort: view.settings.get("sort") || "", descending: view.settings.get("descending") || "", offset, limit: LIMIT });
    const [best, names] = [sweep.best, Object.keys(sweep.searched)];
    replace(top, facts([["objective", sweep.words], ["trials", `${sweep.ended} of ${sweep.planned} have ended`],
      ["best", best ? [`trial ${best.number}: ${sweep.objective} ${best.shown} with `, settings(best)] : "none is accepted yet"], ["run", h("a", { href: view.link("runs", sweep.run) }, sweep.run)]]));
    const accepted = new Set(sweep.accepted);
    replace(plots, sweep.panels.filter((panel) => panel.points.length).map((panel) => scatter(`${sweep.objective} over ${panel.name}`,
      panel.points.map(([trial, x, y]) => ({ x, y, word: `trial ${trial}: ${number(y)}`, style: best && trial === best.number ? "best" : accepted.has(trial) ? "yes" : "no" })), panel.axis)));
    replace(body, table("Trials", [heading("number", "trial", "whole"), heading("state", "state"), ...names.map((name) => heading(`parameter:${name}`, clip(name), "figure")),
      heading("value", sweep.objective, "figure"), heading("seconds", "time", "figure"), { title: "outcome" }],
    sweep.trials.map((trial) => h("tr", { class: best && trial.number === best.number ? "chosen" : null, "data-trial": trial.number },
      cell("trial", { class: "whole" }, String(trial.number)), cell("", null, state(trial.state)),
      names.map((name) => cell(name, { class: "figure" }, trial.parameters[name])), cell(sweep.objective, { class: "figure" }, trial.shown),
      cell("time", { class: "figure" }, trial.seconds === null ? "" : duration(trial.seconds)), cell("", null, best && trial.number === best.number ? h("b", null, "best ") : null, trial.note)))),
    pager(sweep.total, offset, LIMIT, (next) => { view.set({ offset: next }); load().catch(() => {}); }));
  }

  await load();
  const { number: place, state: word } = await view.get(run);
  const status = h("span", null, state(word));
  const again = throttled(300, () => load().catch(() => {}));
  return {
    title: `Sweep ${place || sweep.run}`,
    node: [h("div", { class: "head" }, h("div", null, h("h1", { tabindex: -1 }, `Sweep of ${sweep.model}, run ${place || sweep.run}`), h("p", null, status)), sweep.live ? stopButton(view) : null),
      top, h("h2", null, "Parameters"), h("p", { class: "quiet" }, "One point is one trial; the ring is the best accepted one, an empty point is one that is not accepted."), plots,
      h("h2", null, "Trials"), body],
    take: (event) => {
      if (event.kind !== "run" || event.subject !== sweep.run) return;
      if (event.data) replace(status, state(event.data.state));
      again();
    },
  };
}

function settings(trial) {
  return Object.entries(trial.parameters).map(([name, value]) => [h("code", null, `${name}=${value}`), " "]);
}
