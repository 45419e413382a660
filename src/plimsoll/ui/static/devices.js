// Devices at the edge: groups with their rollouts, and what each device has told last.
import { amount, cell, h, number, pager, replace, searchBox, table, when } from "./dom.js";

const LIMIT = 50;
const SIGNS = { serving: "✓", problem: "✗", away: "–", waiting: "·", revoked: "■" };
const CLASSES = { serving: "pass", problem: "fail", away: "unknown", waiting: "unknown", revoked: "unknown" };

function group(each) {
  return h("article", { class: "card" }, h("h2", null, each.name),
    h("p", { class: "quiet" }, `${number(each.devices)} devices`, each.invited ? `, ${number(each.invited)} with a token that nobody has used` : ""),
    h("p", { class: each.phase === "stopped" ? "problem" : null }, each.rollout),
    each.services.length ? h("p", { class: "quiet" }, each.services.join(", ")) : null,
    each.drift.map((line, place) => h("p", { class: place < each.alarms ? "note" : "quiet" }, line)));
}

function row(each) {
  const told = [each.problem ? h("p", { class: "note" }, each.problem) : null, each.drift.map((alarm) => h("p", { class: "note" }, alarm))];
  return h("tr", null, cell("", { class: "whole" }, h("b", null, each.name), each.labels.map((label) => h("div", { class: "quiet" }, label))),
    cell("group", null, each.group), cell("state", { class: "whole" }, h("span", { class: `state ${CLASSES[each.state]}` }, `${SIGNS[each.state]} ${each.state}`)),
    cell("last contact", { class: "whole" }, each.heard === null ? "never" : when(each.heard)),
    cell("release", { class: "figure" }, each.release === null ? "–" : number(each.release)), cell("versions", null, each.versions.join(", "), told),
    cell("waits to be sent", { class: "figure" }, each.waiting === null ? "–" : amount(each.waiting), each.dropped ? h("div", { class: "note" }, `${number(each.dropped)} lines dropped`) : null),
    cell("disk free", { class: "figure" }, each.disk === null ? "–" : amount(each.disk)),
    cell("°C", { class: "figure" }, each.temperature === null ? "–" : number(each.temperature)));
}

export async function devicesView(view) {
  const groups = h("div", { class: "cards" }), body = h("div");
  let offset = 0, text = "";
  async function load() {
    const page = await view.newest(view.address("devices"), { text, offset, limit: LIMIT });
    replace(groups, page.groups.map(group));
    replace(body, page.groups.length ? [table("Devices", [{ title: "device" }, { title: "group" }, { title: "state" }, { title: "last contact" }, { title: "release", class: "figure" }, { title: "versions" },
      { title: "waits to be sent", class: "figure" }, { title: "disk free", class: "figure" }, { title: "°C", class: "figure" }], page.devices.map(row)),
    page.total > LIMIT ? pager(page.total, offset, LIMIT, (next) => { offset = next; load().catch(() => {}); }) : null]
      : h("p", { class: "quiet" }, "No group has a device yet. `plimsoll edge enroll GROUP DEVICE` makes a token for one."));
  }
  await load();
  return {
    title: "Devices",
    node: [h("h1", { tabindex: -1 }, "Devices"), h("p", { class: "quiet" }, "As `plimsoll edge list` or `rollout` has heard them last."), groups,
      h("div", { class: "tools" }, searchBox("Search devices, labels, versions", text, (found) => { text = found; offset = 0; load().catch(() => {}); })), body],
    take: (event) => { if (event.kind === "devices") load().catch(() => {}); },
  };
}
