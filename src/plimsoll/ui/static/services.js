// Services: who gets how much traffic, how fast it is answered, and what drifts.
import { confirmAct, stopButton } from "./acts.js";
import { clock, histogram, latency, lines } from "./charts.js";
import { duration, facts, h, number, replace } from "./dom.js";

const FEATURES = 6;

// A version has the same colour in every chart, whatever its share.
function byVersion(one, other) {
  return one[0].localeCompare(other[0], "en", { numeric: true });
}

function share(shares) {
  const parts = Object.entries(shares).sort(byVersion);
  if (!parts.length) return h("p", { class: "quiet" }, "no requests yet");
  return [h("div", { class: "share", "aria-hidden": "true" }, parts.map(([, value], place) => { const part = h("span", { class: `l${place % 6}` }); part.style.width = `${value * 100}%`; return part; })),
    h("ul", { class: "shares" }, parts.map(([version, value], place) => h("li", { class: `l${place % 6}` }, `version ${version}: ${(value * 100).toFixed(1)} % of the requests`)))];
}

function drift(service) {
  return service.drift.map((version) => [h("h3", null, `Version ${version.version}`), version.words.map((word, place) => h("p", { class: place < version.alarms.length ? "note" : "quiet" }, word))]);
}

export async function servicesView(view) {
  const body = h("div"), stop = h("div");
  const render = (page) => { replace(stop, page.services.length ? stopButton(view) : null); replace(body,
    page.problem ? h("p", { class: "problem" }, page.problem) : null,
    page.run_note ? h("p", { class: "note" }, page.run_note) : null, page.waits.map((wait) => h("p", { class: "note" }, wait)),
    page.services.length ? h("div", { class: "cards" }, page.services.map((service) => {
      const newest = service.newest ? Object.entries(service.newest.versions) : [];
      const rate = newest.reduce((sum, [, each]) => sum + each.rate, 0);
      const lead = newest.find(([version]) => version === service.leading);
      return h("article", { class: "card" }, h("h2", null, h("a", { href: view.link("services", service.name) }, service.name)),
        h("p", { class: "quiet" }, service.model ? `${service.model}@${service.leading} at ` : "", h("code", null, service.url)),
        service.problem ? h("p", { class: "problem" }, service.problem) : null, service.notes.map((note) => h("p", { class: "note" }, note)), share(service.shares),
        h("p", null, `${number(rate)} requests/s`, lead && lead[1].p99 ? `, p99 ≤ ${duration(lead[1].p99)}` : ""),
        service.drift.flatMap((version) => version.alarms).slice(0, 3).map((alarm) => h("p", { class: "note" }, alarm)));
    })) : page.problem ? null : h("p", { class: "quiet" }, !page.looked ? `asking ${view.target} …` : "No service is running. `plimsoll run --watch` keeps those of the file up.")); };
  render(await view.get(view.address("services")));
  return { title: "Services", node: [h("div", { class: "head" }, h("h1", { tabindex: -1 }, "Services"), stop), body], take: (event) => { if (event.kind === "looked") render(event.data); } };
}

export async function serviceView(view) {
  const path = view.address("services", view.words[0]), body = h("div");
  const head = h("div"), roll = h("div");
  const heading = h("div", { class: "head" }, h("div", null, h("h1", { tabindex: -1 }, `Service ${view.words[0]}`)), roll);
  let service = await view.get(path);

  function series(take) {
    const found = new Map();
    for (const sample of service.samples) {
      for (const [version, each] of Object.entries(sample.versions)) {
        for (const [name, value] of take(version, each)) {
          if (value === null || value === undefined) continue;
          if (!found.has(name)) found.set(name, []);
          found.get(name).push([sample.at, value]);
        }
      }
    }
    return [...found].sort(byVersion);
  }

  function render() {
    const far = series((version, each) => Object.entries(each.distances).map(([feature, value]) => [`${feature}, version ${version}`, value]))
      .sort((one, other) => other[1][other[1].length - 1][1] - one[1][one[1].length - 1][1]).slice(0, FEATURES);
    const labels = series((version, each) => [[`version ${version}`, each.labels || null]]);
    replace(roll, h("button", { type: "button", class: "danger", disabled: !service.former, title: service.former ? null : "it has had no promotion since it was started", onclick: () => confirmAct(view,
      { act: "rollback", service: service.name, confirmed: service.name }, `Roll service ${service.name} back?`, `All its requests go back to version ${service.former} at once.`, "Roll back") }, "Roll back …"));
    replace(head, facts([["address", h("code", null, service.url)], ["model", service.model ? h("a", { href: view.link("models", `${service.model}@${service.leading}`) }, `${service.model}@${service.leading}`) : ""],
      ["before it", service.former ? `version ${service.former}` : ""]]));
    replace(body, service.problem ? h("p", { class: "problem" }, service.problem) : null, service.notes.map((note) => h("p", { class: "note" }, note)),
      h("h2", null, "Traffic"), share(service.shares),
      h("div", { class: "charts" },
        lines("Requests a second", series((version, each) => [[`version ${version}`, each.rate]]), clock),
        lines("Failed requests a second", series((version, each) => [[`version ${version}`, each.failed]]), clock),
        lines("Latency", series((version, each) => [[`p50, version ${version}`, each.p50], [`p99, version ${version}`, each.p99]]), clock, duration),
        histogram("Latency of all requests", Object.entries(service.buckets).sort(byVersion).map(([version, buckets]) => [`version ${version}`, buckets]), latency)),
      h("h2", null, "Drift and late labels"), service.drift.length ? drift(service) : h("p", { class: "quiet" }, "No version has been compared with its training yet: that needs `drift` in the file, and some requests."),
      far.length || labels.length ? h("div", { class: "charts" },
        far.length ? lines("Distance from training", far, clock) : null,
        labels.length ? lines("Late labels", labels, clock) : null,
        labels.length ? lines("Accuracy on late labels", series((version, each) => [[`version ${version}`, each.accuracy]]), clock) : null) : null);
  }

  render();
  return {
    title: service.name,
    node: [heading, head, body],
    take: (event) => {
      if (event.kind !== "looked") return;
      view.newest(path).then((found) => { service = found; render(); }).catch((error) => { if (error.told) replace(body, h("p", { class: "problem" }, error.message)); });
    },
  };
}
