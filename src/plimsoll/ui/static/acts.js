// Stop, promote, roll back: each asks first, and tells what it does until it has ended.
import { address, get, post } from "./api.js";
import { h, problem, replace } from "./dom.js";

const shelf = document.getElementById("acts"), dialog = document.getElementById("dialog");
const closed = new Set(), ended = new Set();

export function confirmAct(view, asked, title, text, verb) {
  const status = h("div");
  const sure = h("button", { type: "button", class: asked.act === "promote" ? "main" : "danger", onclick: async () => {
    sure.disabled = true;
    try {
      actTold(await post(address(view.place, "acts"), asked));
      dialog.close();
    } catch (error) {
      sure.disabled = false;
      replace(status, problem(error));
    }
  } }, verb);
  replace(dialog, h("h2", { id: "dialog-title" }, title), h("p", null, text), status,
    h("div", { class: "tools" }, h("button", { type: "button", autofocus: true, onclick: () => dialog.close() }, "Leave it"), sure));
  dialog.showModal();
}

export function stopButton(view) {
  return h("button", { type: "button", class: "danger", onclick: () => confirmAct(view, { act: "stop", confirmed: view.place }, "Stop the application?",
    view.target === "local" ? "The processes of its run and its services end. Finished steps are kept, and the next run goes on from them."
      : `Everything of the application on ${view.target} is deleted, its services too. Finished steps are kept.`, "Stop") }, "Stop …");
}

export function actTold(act) {
  // The answer to the click may come after the event of the end, with the state from before it.
  if (closed.has(act.id) || (act.state === "running" && ended.has(act.id))) return;
  if (act.state !== "running") ended.add(act.id);
  const card = h("article", { class: "act", "data-act": act.id },
    h("p", null, h("b", null, `${act.act === "rollback" ? "roll back" : act.act} ${act.about}`), ` – ${act.state}`),
    act.lines.length ? h("pre", { tabindex: 0, role: "region", "aria-label": "What it says" }, act.lines.join("\n")) : null,
    act.error ? problem({ told: act.error }) : null,
    h("div", { class: "tools" }, act.state === "running" && act.act !== "stop" ? h("button", { type: "button", onclick: () => post(`/api/acts/${encodeURIComponent(act.id)}/interrupt`).catch(() => {}) }, "Interrupt") : null,
      act.state === "running" ? null : h("button", { type: "button", onclick: () => { closed.add(act.id); card.remove(); } }, "Close")));
  const before = shelf.querySelector(`[data-act="${CSS.escape(act.id)}"]`);
  if (before) before.replaceWith(card); else shelf.append(card);
  const said = card.querySelector("pre");
  if (said) said.scrollTop = said.scrollHeight;
}

// What goes on, and what became of those on the shelf while the page did not listen.
export async function listActs(place) {
  const found = await get(address(place, "acts"));
  for (const act of found.acts) {
    if (act.state === "running" || shelf.querySelector(`[data-act="${CSS.escape(act.id)}"]`)) actTold(act);
  }
}
