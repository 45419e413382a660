// Checks of clusters: verdicts, and the evidence for each.
import { cell, facts, h, pager, problem, replace, state, table } from "./dom.js";

const LIMIT = 50;

export async function checksView(view) {
  const body = h("div");
  async function load() {
    const page = await view.newest(view.address("checks"));
    replace(body, page.checks.length ? table("Evidence bundles", [{ title: "bundle" }, { title: "cluster" }, { title: "profile" }, { title: "began" }, { title: "MUSTs shown", class: "figure" }],
      page.checks.map((check) => h("tr", null, cell("", null, h("a", { href: view.link("checks", check.name) }, check.name)), cell("cluster", null, check.target || check.cluster), cell("profile", null, check.profile),
        cell("began", { class: "whole" }, check.began.slice(0, 19).replace("T", " ")), cell("MUSTs shown", { class: `figure ${check.musts && check.shown === check.musts ? "pass" : "fail"}` }, check.problem || `${check.shown} of ${check.musts}`))))
      : h("p", { class: "quiet" }, "There is no evidence bundle in this directory. `plimsoll check --target CONTEXT` writes one."));
  }
  await load();
  return { title: "Checks", node: [h("h1", { tabindex: -1 }, "Checks of clusters"), body], take: (event) => { if (event.kind === "checks") load().catch(() => {}); } };
}

export async function checkView(view) {
  const path = view.address("checks", view.words[0]), check = await view.get(path);
  const counts = new Map();
  for (const each of check.verdicts) counts.set(each.outcome, (counts.get(each.outcome) || 0) + 1);
  return {
    title: check.name,
    node: [h("h1", { tabindex: -1 }, check.name),
      h("p", null, `${check.shown} of ${check.musts} MUSTs shown: `, [...counts].map(([outcome, count], place) => [place ? ", " : "", state(outcome), ` ${count}`])),
      check.problems.length ? h("div", { class: "problem" }, h("p", null, "The bundle is not as it was signed:"), h("ul", null, check.problems.map((each) => h("li", null, each)))) : null,
      facts([["profile", check.profile], ["cluster", check.cluster], ["context", check.target], ["Kubernetes", check.version], ["ended", check.ended], ["signed by", check.signer ? h("code", null, check.signer) : "no key that is trusted here"]]),
      h("h2", null, "Verdicts"),
      table("Verdicts by requirement", [{ title: "requirement" }, { title: "level" }, { title: "verdict" }, { title: "figure, or cause and remedy" }],
        check.verdicts.map((each) => h("tr", null, cell("", null, h("b", null, each.requirement.replaceAll("_", " ")), h("div", { class: "quiet" }, each.asked), each.observations ? evidence(view, path, each) : null),
          cell("", { class: "whole" }, each.level), cell("", { class: "whole" }, state(each.outcome)), cell("", null, each.figure, each.cause ? h("p", null, each.cause) : null, each.remedy ? h("p", { class: "quiet" }, each.remedy) : null))))],
  };
}

function evidence(view, path, verdict) {
  const body = h("div");
  let offset = 0;
  async function load() {
    const page = await view.newest(`${path}/${encodeURIComponent(verdict.requirement)}`, { offset, limit: LIMIT });
    replace(body, h("ol", { start: offset + 1 }, page.lines.map(([after, event, words, detail]) => h("li", null, h("span", { class: "quiet" }, `${after.toFixed(1)} s `), h("b", null, event), ` ${words}`,
      detail ? h("details", null, h("summary", null, "all of it"), h("code", null, detail)) : null))),
    page.total > LIMIT ? pager(page.total, offset, LIMIT, (next) => { offset = next; load().catch(() => {}); }) : null);
  }
  return h("details", { ontoggle: (event) => { if (event.target.open && !body.firstChild) load().catch((error) => replace(body, problem(error))); } },
    h("summary", null, `${verdict.observations} observations in ${verdict.seconds.toFixed(1)} s`), body);
}
