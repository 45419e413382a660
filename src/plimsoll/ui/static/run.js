// One run: its flow, its steps with their workers, its curves, figures and logs, as they come.
import { stopButton } from "./acts.js";
import { graph, lines } from "./charts.js";
import { amount, cell, duration, facts, h, number, pager, replace, searchBox, state, table, throttled, when } from "./dom.js";

const DRAWN = 60, CHARTS = 24, LIMIT = 50;

export async function runView(view) {
  const word = view.words[0], path = view.address("runs", word);
  const top = h("div"), flow = h("div"), steps = h("div"), curves = h("div"), logs = h("div"), figures = h("div");
  let run = null, find = "", shownCurves = "", opened = new Set();

  async function load() {
    run = await view.newest(path);
    replace(top, head(view, run));
    renderFlow();
    replace(steps, stepTable(view, run, opened));
    replace(logs, logTable(view, run));
    if (!run.figures) replace(figures);
    else if (!figures.firstChild) replace(figures, figureTable(view, path));
  }

  function renderFlow() {
    if (run.count > DRAWN) { replace(flow, h("p", { class: "quiet" }, `${run.count} steps are too many to draw; the table lists them.`)); return; }
    replace(flow, graph("The flow of steps", run.steps.map((step) => {
      const [verb, ...part] = step.name.split("/");
      const took = step.state === "cached" ? "unchanged" : step.ended ? duration(step.ended - step.started) : step.state;
      return { name: step.name, needs: step.needs, title: part.join("/") || verb, detail: `${verb} · ${took}`, state: step.state, href: null };
    })));
  }

  async function loadCurves() {
    if (!run.trained.length) return;
    const found = await view.newest(`${path}/curves`, { text: find, limit: CHARTS });
    // A long file is read a moment at a time: what is missing is asked for until it is there.
    if (found.unread) curvesAgain();
    const text = JSON.stringify([found, find]);
    if (text === shownCurves) return;
    shownCurves = text;
    const { charts, total } = found;
    const box = curves.querySelector(".charts");
    if (!charts.length && !find) { replace(curves); return; }
    const drawn = charts.map((chart) => lines(chart.title, chart.series, (x) => `step ${number(x)}`));
    const more = [total > charts.length ? `${charts.length} of ${total} charts; search for the others` : "",
      found.unread ? `${amount(found.unread)} of points are still to be read` : "", found.left_out ? `${found.left_out} more series are not kept` : ""].filter(Boolean).join(" · ");
    const note = h("p", { class: "quiet", role: "status" }, more);
    if (box) { replace(box, drawn); replace(curves.querySelector(".more"), note); return; }
    replace(curves, h("h2", null, "Curves"), total > 4 ? h("div", { class: "tools" }, searchBox("Find curves", find, (typed) => { find = typed; loadCurves().catch(() => {}); })) : null,
      h("div", { class: "charts" }, drawn), h("div", { class: "more" }, note));
  }

  const again = throttled(150, () => load().catch(() => {}));
  const curvesAgain = throttled(200, () => loadCurves().catch(() => {}));
  await load();
  await loadCurves();
  const clock = setInterval(() => { const time = top.querySelector("[data-elapsed]"); if (time && run.started && !run.ended) time.textContent = duration(Date.now() / 1000 - run.started); }, 1000);
  view.signal.addEventListener("abort", () => clearInterval(clock));
  return {
    title: `Run ${run.number || run.run}`,
    node: [top, h("h2", null, "Flow"), flow, curves, h("h2", null, "Steps"), steps, figures, h("h2", null, "Logs"), logs],
    take: (event) => {
      if (event.kind === "run" && event.subject === run.run) { again(); curvesAgain(); }
      if (event.kind === "written") { if (event.data["metrics.jsonl"]) curvesAgain(); updateSizes(logs, event.data); }
    },
  };
}

function head(view, run) {
  const took = run.ended ? duration(run.ended - run.started) : h("span", { "data-elapsed": true }, duration(Date.now() / 1000 - run.started));
  return [h("div", { class: "head" },
    h("div", null, h("h1", { tabindex: -1 }, `${run.application}, run ${run.number || run.run}`),
      h("p", null, state(run.state), run.live && run.state === "done" ? " and keeps its services up" : "", " – ", run.state === "killed" ? "" : [took, ", "], `${run.steps.filter((step) => step.state === "done" || step.state === "cached").length} of ${run.count} steps`)),
    run.live ? stopButton(view) : null),
    run.reason ? h("p", { class: "note" }, run.reason) : null,
    facts([["started", when(run.started)], ["id", h("code", null, run.run)], ["target", run.target], ["file", h("code", null, run.file)],
      ...Object.entries(run.parameters).map(([name, value]) => [name, String(value)])])];
}

function stepTable(view, run, opened) {
  return table(`${run.steps.length} of ${run.count} steps`,
    [{ title: "step" }, { title: "state" }, { title: "time", class: "figure" }, { title: "outcome" }],
    run.steps.map((step) => h("tr", null,
      cell("", null, step.name, step.count ? workers(step, opened) : null),
      cell("", { class: "whole" }, state(step.state), step.attempts > 1 ? h("span", { class: "quiet" }, ` attempt ${step.attempts}`) : null),
      cell("time", { class: "figure" }, step.state !== "cached" && step.ended ? duration(step.ended - step.started) : ""),
      cell("", null, step.model ? [h("a", { href: view.link("models", step.model) }, step.model), " "] : null, step.reason || step.outcome,
        step.awaits ? h("p", { class: "note" }, `waits: ${step.awaits}`) : null,
        step.failures.map((failure) => h("p", { class: "stopped" }, `an attempt failed: ${failure}`)), step.notes.map((note) => h("p", { class: "quiet" }, note))))));
}

function workers(step, opened) {
  const shown = h("details", { open: opened.has(step.name), ontoggle: (event) => { if (event.target.open) opened.add(step.name); else opened.delete(step.name); } },
    h("summary", { class: "quiet" }, `${step.count} ${step.count === 1 ? "worker" : "workers"}`),
    h("ul", null, step.workers.map((worker) => h("li", null, `worker ${worker.rank}, attempt ${worker.attempt}: ${ending(worker, step)}`,
      worker.ended ? h("span", { class: "quiet" }, `, ${duration(worker.cpu)} of processor, ${amount(worker.memory)}`) : null))));
  return shown;
}

function ending(worker, step) {
  if (worker.signal) return `signal ${worker.signal}`;
  if (worker.code !== null && worker.code !== undefined) return `status ${worker.code}`;
  return step.state === "running" ? "running" : "its end was not seen";
}

function logTable(view, run) {
  if (!run.logs.length) return h("p", { class: "quiet" }, "No step of this run has written anything.");
  return table("Logs by step and worker", [{ title: "step" }, { title: "worker" }, { title: "attempt", class: "figure" }, { title: "size", class: "figure" }],
    run.logs.map((log) => h("tr", null, cell("", null, h("a", { href: view.link("runs", run.run, "log", log.name) }, log.step)), cell("worker", null, log.process),
      cell("attempt", { class: "figure" }, log.attempt), cell("size", { class: "figure", "data-log": log.name }, amount(log.size)))));
}

function updateSizes(logs, sizes) {
  for (const size of logs.querySelectorAll("[data-log]")) if (Object.hasOwn(sizes, size.dataset.log)) size.textContent = amount(sizes[size.dataset.log]);
}

function figureTable(view, path) {
  const body = h("div");
  let text = "", offset = 0;
  async function load() {
    const page = await view.newest(`${path}/figures`, { text, offset, limit: LIMIT });
    replace(body, table("Figures", [{ title: "figure" }, { title: "value", class: "figure" }],
      page.figures.map(([name, value]) => h("tr", null, cell("", null, name), cell("", { class: "figure" }, number(value))))),
    pager(page.total, offset, LIMIT, (next) => { offset = next; load().catch(() => {}); }));
  }
  load().catch(() => {});
  return [h("h2", null, "Figures"), h("div", { class: "tools" }, searchBox("Find figures", "", (typed) => { text = typed; offset = 0; load().catch(() => {}); })), body];
}
