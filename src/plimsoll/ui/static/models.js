// Models: versions, the gates of each, what it was made from, and where it serves.
import { confirmAct } from "./acts.js";
import { graph } from "./charts.js";
import { difference } from "./compare.js";
import { amount, cell, facts, h, number, pager, replace, searchBox, table, throttled, when } from "./dom.js";

const LIMIT = 50;

function verdict(model) {
  return h("span", { class: `state ${model.accepted ? "accepted" : "refused"}` }, model.accepted ? "✓ accepted" : "✗ not accepted");
}

export async function modelsView(view) {
  const body = h("div");
  async function load() {
    const offset = Number(view.settings.get("offset")) || 0;
    const page = await view.newest(view.address("models"), { text: view.settings.get("text") || "", offset, limit: LIMIT });
    replace(body, page.total ? table("Versions of models", [{ title: "version" }, { title: "gates" }, { title: "tags" }, { title: "created" }, { title: "framework" }, { title: "figures" }],
      page.models.map((model) => h("tr", null, cell("", null, h("a", { href: view.link("models", model.reference) }, model.reference)), cell("", { class: "whole" }, verdict(model)),
        cell("tags", null, model.tags.join(", ")), cell("created", { class: "whole" }, when(model.created)), cell("framework", null, model.framework),
        cell("figures", null, model.headline.map(([name, value]) => `${name} ${number(value)}`).join(", "))))) : h("p", { class: "quiet" }, "No version is registered, or none has this text."),
    pager(page.total, offset, LIMIT, (next) => { view.set({ offset: next }); load().catch(() => {}); }));
  }
  await load();
  const again = throttled(300, () => load().catch(() => {}));
  return {
    title: "Models",
    node: [h("h1", { tabindex: -1 }, "Models"), h("div", { class: "tools" }, searchBox("Search by name or tag", view.settings.get("text") || "", (text) => { view.set({ text, offset: 0 }); load().catch(() => {}); })), body],
    take: (event) => { if (event.kind === "models") again(); },
  };
}

export async function modelView(view) {
  const model = await view.get(view.address("models", view.words[0]));
  const { services } = await view.get(view.address("services"));
  const serving = services.filter((service) => service.model === model.name);
  const compared = h("div");

  async function compare(other) {
    if (!other) { replace(compared); return; }
    const found = await view.get(view.address("models", other, "against", model.reference));
    replace(compared, table(`${found.first} and ${found.second}`, [{ title: "figure" }, { title: found.first, class: "figure" }, { title: found.second, class: "figure" }, { title: "difference", class: "figure" }],
      found.metrics.map(([name, one, two]) => h("tr", null, cell("", null, name), cell(found.first, { class: "figure" }, number(one)), cell(found.second, { class: "figure" }, number(two)), cell("difference", { class: "figure" }, difference(one, two))))),
    h("ul", null, Object.entries(found.changed).map(([kind, names]) => h("li", null, names.length ? `${kind} changed: ${names.join(", ")}` : h("span", { class: "quiet" }, `${kind}: the same`)))));
  }

  const others = model.versions.filter((number_) => number_ !== model.version).reverse();
  return {
    title: model.reference,
    node: [
      h("div", { class: "head" }, h("div", null, h("h1", { tabindex: -1 }, model.reference), h("p", null, verdict(model), model.tags.length ? h("span", { class: "quiet" }, ` ${model.tags.join(", ")}`) : null)),
        serving.filter((service) => service.leading !== String(model.version) && model.accepted).map((service) => h("button", { type: "button", class: "main", onclick: () => confirmAct(view,
          { act: "promote", reference: model.reference, service: service.name, confirmed: model.reference }, `Promote ${model.reference} in service ${service.name}?`,
          `Its traffic moves from version ${service.leading} step by step: 5, 25, 50 and 100 per cent. A version that is worse is rolled back.`, "Promote") }, `Promote in ${service.name} …`))),
      model.refusals.map((reason) => h("p", { class: "problem" }, reason)),
      h("h2", null, "Lineage"), graph("What this version was made from, and where it serves", lineage(view, model, serving)),
      facts([["created", when(model.created), ` by ${model.author}`], ...(model.base ? [["adapter of", model.base]] : []), ["framework", model.framework], ["command", h("code", null, model.command)],
        ["run", model.run ? h("a", { href: view.link("runs", model.run) }, model.run) : "not of this directory"], ["digest", h("code", null, model.digest)], ["environment", h("code", null, model.environment.slice(0, 12))]]),
      h("h2", null, "Gates"), model.gates.length ? table("Bounds of acceptance", [{ title: "figure" }, { title: "value", class: "figure" }, { title: "bound" }, { title: "" }],
        model.gates.map((gate) => h("tr", null, cell("", null, gate.name), cell("value", { class: "figure" }, number(gate.value)), cell("bound", { class: "whole" }, gate.bound),
          cell("", { class: `state ${gate.holds ? "holds" : "misses"}` }, gate.holds ? "✓ holds" : gate.value === null ? "✗ not measured" : "✗ missed"))), true) : h("p", { class: "quiet" }, "The file names no bounds: every version is accepted."),
      h("h2", null, "Figures"), others.length ? h("div", { class: "tools" }, h("select", { "aria-label": "Compare with a version", onchange: (event) => compare(event.target.value).catch(() => {}) },
        h("option", { value: "" }, "compare with …"), others.map((each) => h("option", { value: `${model.name}@${each}` }, `${model.name}@${each}`)))) : null, compared,
      table("Figures", [{ title: "figure" }, { title: "value", class: "figure" }], Object.entries(model.metrics).map(([name, value]) => h("tr", null, cell("", null, name), cell("", { class: "figure" }, number(value))))),
      h("h2", null, "Card"), ...card(model.card),
      h("h2", null, "Files"), table("Files", [{ title: "file" }, { title: "size", class: "figure" }, { title: "digest" }],
        Object.entries(model.files).map(([name, [size, digest]]) => h("tr", null, cell("", null, name), cell("size", { class: "figure" }, amount(size)), cell("digest", null, h("code", null, digest.slice(0, 19)))))),
    ],
  };
}

const UNKNOWN = "not recorded";

function card(found) {
  if (found.problem) return [h("p", { class: "problem" }, found.problem)];
  const { card: told, signed_by: key, drift } = found;
  const judged = told.judged, names = judged ? Object.keys(judged.figures) : [];
  const groups = judged ? [{ column: "", value: "all rows", rows: judged.rows, figures: judged.figures }, ...judged.groups] : [];
  return [
    facts([["purpose", told.purpose || UNKNOWN], ...(told.limits.length ? told.limits : [UNKNOWN]).map((limit) => ["limit", limit]),
      ["licence", told.licence || UNKNOWN], ...(drift.length ? drift : [UNKNOWN]).map((line) => ["drift since", line]),
      ["signed by", key ? h("code", null, key.slice(0, 16)) : "nobody: made of the version's own record"]]),
    told.data.length ? table("Data of the training", [{ title: "data" }, { title: "rows", class: "figure" }, { title: "period" }], told.data.map((each) => h("tr", null,
      cell("", null, each.name, each.note ? h("span", { class: "quiet" }, ` ${each.note}`) : null), cell("rows", { class: "figure" }, each.rows ?? UNKNOWN),
      cell("period", null, each.period ? `${each.period.column} ${each.period.first} to ${each.period.last}` : UNKNOWN)))) : null,
    judged ? table("Figures by group", [{ title: "group" }, { title: "rows", class: "figure" }, ...names.map((name) => ({ title: name.replaceAll("_", " "), class: "figure" }))], groups.map((group) => h("tr", null,
      cell("", null, `${group.column} ${group.value || "(empty)"}`.trim()), cell("rows", { class: "figure" }, `${group.rows}${group.few ? " (few)" : ""}`),
      names.map((name) => cell(name.replaceAll("_", " "), { class: "figure" }, number(group.figures[name])))))) : null,
    told.explained ? table("What the answers depend on", [{ title: "feature" }, { title: "mean contribution", class: "figure" }], told.explained.features.map((each) => h("tr", null,
      cell("", null, each.name), cell("mean contribution", { class: "figure" }, number(each.mean))))) : null,
    told.not_recorded.length ? h("p", { class: "quiet" }, `Not recorded: ${told.not_recorded.join(", ")}. ${told.notes.join(". ")}`) : null,
  ];
}

function lineage(view, model, serving) {
  const sources = [...Object.entries(model.data).map(([name, digest]) => ["data", name, digest]), ...Object.entries(model.code).map(([name, digest]) => ["code", name, digest])].slice(0, 24);
  const nodes = sources.map(([kind, name, digest]) => ({ name: `${kind} ${name}`, needs: [], title: name, detail: `${kind} · ${digest.slice(0, 12)}`, state: "node", sign: kind === "data" ? "▤" : "⌘" }));
  nodes.push({ name: "training", needs: nodes.map((node) => node.name), title: model.step, detail: model.run ? "training" : "trained elsewhere", state: "node", sign: "▶", href: model.run ? view.link("runs", model.run) : null });
  nodes.push({ name: model.reference, needs: ["training"], title: model.reference, detail: model.accepted ? "accepted" : "not accepted", state: model.accepted ? "done" : "refused", sign: model.accepted ? "✓" : "✗" });
  for (const service of serving) {
    const share = service.shares[String(model.version)];
    if (share === undefined && service.leading !== String(model.version)) continue;
    nodes.push({ name: `service ${service.name}`, needs: [model.reference], title: service.name, detail: share === undefined ? "serves" : `${Math.round(share * 100)} % of requests`, state: "node", sign: "⇄", href: view.link("services", service.name) });
  }
  return nodes;
}
