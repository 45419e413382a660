// Charts as SVG: lines, columns, and boxes with links. Their colours are classes of the style sheet.
import { duration, h, number, s, sign } from "./dom.js";

const WIDE = 320, HIGH = 150, LEFT = 46, RIGHT = 10, TOP = 8, BOTTOM = 20;
const LINES = 6;

function scale(low, high, from, to) {
  const wide = Math.max(high - low, 1e-12);
  return (value) => from + ((value - low) / wide) * (to - from);
}

// One chart with a line for each series `[name, [[x, y], …]]`. `axis` says what x is in words.
export function lines(title, series, axis, unit) {
  const drawn = series.map(([name, points]) => [name, points.filter((point) => Number.isFinite(point[0]) && Number.isFinite(point[1]))])
    .filter(([, points]) => points.length);
  if (!drawn.length) return h("div", { class: "chart" }, h("h3", null, title), h("p", { class: "quiet" }, "no points yet"));
  let lowX = Infinity, highX = -Infinity, lowY = Infinity, highY = -Infinity;
  for (const [, points] of drawn) {
    for (const [x, y] of points) {
      lowX = Math.min(lowX, x); highX = Math.max(highX, x); lowY = Math.min(lowY, y); highY = Math.max(highY, y);
    }
  }
  if (lowY === highY && lowY === 0) highY = 1;
  else if (lowY === highY) { lowY -= Math.abs(lowY) * 0.05; highY += Math.abs(highY) * 0.05; }
  const x = scale(lowX, highX, LEFT, WIDE - RIGHT), y = scale(lowY, highY, HIGH - BOTTOM, TOP);
  const shown = unit || number;
  const mark = unit || tick;
  const grid = [lowY, (lowY + highY) / 2, highY].map((value) => [
    s("line", { class: "grid", x1: LEFT, x2: WIDE - RIGHT, y1: y(value), y2: y(value) }),
    s("text", { class: "quiet", x: LEFT - 5, y: y(value) + 4, "text-anchor": "end" }, mark(value)),
  ]);
  const paths = drawn.map(([, points], place) => points.length > 1
    ? s("polyline", { class: `series l${place % LINES}`, points: points.map((point) => `${x(point[0]).toFixed(1)},${y(point[1]).toFixed(1)}`).join(" ") })
    : s("circle", { class: `dot l${place % LINES}`, cx: x(points[0][0]), cy: y(points[0][1]), r: 3 }));
  const last = drawn.map(([name, points]) => `${name}: ${shown(points[points.length - 1][1])}`);
  const drawing = s("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": `${title}: ${last.slice(0, 6).join(", ")}` },
    grid, paths,
    s("text", { class: "quiet", x: LEFT, y: HIGH - 5 }, axis(lowX)),
    s("text", { class: "quiet", x: WIDE - RIGHT, y: HIGH - 5, "text-anchor": "end" }, axis(highX)));
  return h("div", { class: "chart" }, h("h3", null, title), drawing,
    h("ul", { class: "legend" }, last.map((text, place) => h("li", { class: `l${place % LINES}` }, text))));
}

// Points `{x, y, word, style}` over one parameter; `axis` has its labels `[[share, text], …]`, `x` is a share of the width.
export function scatter(title, points, axis) {
  let low = Infinity, high = -Infinity;
  for (const { y } of points) { low = Math.min(low, y); high = Math.max(high, y); }
  if (low === high) { low -= Math.abs(low) * 0.05 || 1; high += Math.abs(high) * 0.05 || 1; }
  const y = scale(low, high, HIGH - BOTTOM - 4, TOP + 4), x = (share) => LEFT + 6 + share * (WIDE - LEFT - RIGHT - 12);
  const grid = [low, (low + high) / 2, high].map((value) => [
    s("line", { class: "grid", x1: LEFT, x2: WIDE - RIGHT, y1: y(value), y2: y(value) }),
    s("text", { class: "quiet", x: LEFT - 5, y: y(value) + 4, "text-anchor": "end" }, tick(value))]);
  const labels = axis.map(([share, text]) => s("text", { class: "quiet", x: x(share), y: HIGH - 5, "text-anchor": share < 0.1 ? "start" : share > 0.9 ? "end" : "middle" }, short(text, 14)));
  const drawn = points.map((point) => s("circle", { class: `trial ${point.style}`, cx: x(point.x).toFixed(1), cy: y(point.y).toFixed(1), r: point.style === "best" ? 5 : 3 }, s("title", null, point.word)));
  return h("div", { class: "chart" }, h("h3", null, title),
    s("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": `${title}: ${points.length} trials` }, grid, labels, drawn));
}

// A number beside an axis has room for six characters or so.
function tick(value) {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(1).replace("e+", "e");
  return String(Number(value.toPrecision(3)));
}

export function clock(seconds) {
  const at = new Date(seconds * 1000);
  return `${String(at.getHours()).padStart(2, "0")}:${String(at.getMinutes()).padStart(2, "0")}:${String(at.getSeconds()).padStart(2, "0")}`;
}

// Columns by bucket: `groups` are `[name, {bound: count}]`, with the same bounds.
export function histogram(title, groups, label) {
  const bounds = Object.keys(groups[0] ? groups[0][1] : {}).sort((one, other) => bound(one) - bound(other));
  const shares = groups.map(([, counts]) => {
    const total = bounds.reduce((sum, key) => sum + (counts[key] || 0), 0);
    return bounds.map((key) => (total ? (counts[key] || 0) / total : 0));
  });
  const used = bounds.map((_, place) => shares.some((each) => each[place] > 0));
  const first = Math.max(0, used.indexOf(true) - 1), end = Math.min(bounds.length, used.lastIndexOf(true) + 2);
  if (used.indexOf(true) < 0) return h("div", { class: "chart" }, h("h3", null, title), h("p", { class: "quiet" }, "no requests yet"));
  const count = end - first, most = Math.max(...shares.flat());
  const step = (WIDE - LEFT - RIGHT) / count, wide = (step * 0.84) / groups.length;
  const columns = groups.map(([name], group) => bounds.slice(first, end).map((key, place) => {
    const high = (shares[group][first + place] / most) * (HIGH - TOP - BOTTOM);
    return s("rect", { class: `column l${group % LINES}`, x: LEFT + place * step + group * wide, y: HIGH - BOTTOM - high, width: Math.max(wide - 1, 1), height: high },
      s("title", null, `${name}: ${(shares[group][first + place] * 100).toFixed(1)} % up to ${label(key)}`));
  }));
  const every = Math.max(1, Math.ceil(count / 5));
  const words = bounds.slice(first, end).map((key, place) => place % every ? null
    : s("text", { class: "quiet", x: LEFT + (place + 0.5) * step, y: HIGH - 5, "text-anchor": "middle" }, label(key)));
  return h("div", { class: "chart" }, h("h3", null, title),
    s("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": `${title} by share of the requests, largest ${(most * 100).toFixed(0)} %` },
      s("text", { class: "quiet", x: LEFT - 5, y: TOP + 8, "text-anchor": "end" }, `${(most * 100).toFixed(0)} %`),
      s("line", { class: "grid", x1: LEFT, x2: WIDE - RIGHT, y1: HIGH - BOTTOM, y2: HIGH - BOTTOM }), columns, words),
    h("ul", { class: "legend" }, groups.map(([name], place) => h("li", { class: `l${place % LINES}` }, name))));
}

function bound(key) {
  return key === "+Inf" ? Infinity : Number(key);
}

export function latency(key) {
  if (key === "+Inf") return "more";
  return Number(key) < 0.01 ? `${Number((Number(key) * 1000).toPrecision(2))} ms` : duration(Number(key));
}

const BOX = 176, GAP = 48, ROW = 14, TALL = 48;

// Boxes in columns by depth, `{name, needs, title, detail, state, href}`; a link that skips columns goes between rows.
export function graph(label, nodes) {
  const depth = new Map(), known = new Map(nodes.map((node) => [node.name, node]));
  const depthOf = (name, path) => {
    if (depth.has(name)) return depth.get(name);
    if (path.has(name)) return 0;
    const beyond = new Set(path).add(name);
    const needs = known.get(name).needs.filter((need) => known.has(need));
    const found = needs.length ? 1 + Math.max(...needs.map((need) => depthOf(need, beyond))) : 0;
    depth.set(name, found);
    return found;
  };
  const columns = [];
  for (const node of nodes) {
    const at = depthOf(node.name, new Set());
    (columns[at] = columns[at] || []).push(node);
  }
  const tallest = Math.max(1, ...columns.map((column) => column.length));
  const place = new Map();
  columns.forEach((column, x) => column.forEach((node, row) => {
    const free = (tallest - column.length) * (TALL + ROW) / 2;
    place.set(node.name, [x * (BOX + GAP) + 2, free + row * (TALL + ROW) + 2]);
  }));
  const paths = [];
  let lane = 0;
  for (const node of nodes) {
    for (const need of node.needs) {
      if (!place.has(need)) continue;
      const [x1, y1] = place.get(need), [x2, y2] = place.get(node.name);
      const from = [x1 + BOX - 4, y1 + TALL / 2], to = [x2, y2 + TALL / 2];
      const skips = depth.get(node.name) - depth.get(need) > 1;
      const bend = GAP / 2 + 6;
      // Each link that skips a column has a lane of its own below all boxes.
      const between = tallest * (TALL + ROW) + 6 + (skips ? 5 * (lane++ % 6) : 0);
      paths.push(s("path", { class: "link", d: skips
        ? `M${from[0]} ${from[1]} C${from[0] + bend} ${from[1]} ${from[0] + 4} ${between} ${from[0] + bend} ${between} L${to[0] - bend} ${between} C${to[0] - 4} ${between} ${to[0] - bend} ${to[1]} ${to[0]} ${to[1]}`
        : `M${from[0]} ${from[1]} C${from[0] + bend} ${from[1]} ${to[0] - bend} ${to[1]} ${to[0]} ${to[1]}` }));
    }
  }
  const boxes = nodes.map((node) => {
    const [x, y] = place.get(node.name);
    const box = s("g", { class: `box ${node.state}` }, node.href ? null : s("title", null, `${node.name}: ${node.detail}`),
      s("rect", { x, y, width: BOX - 4, height: TALL - 2, rx: 9 }),
      s("text", { x: x + 11, y: y + 19 }, short(`${node.sign === undefined ? sign(node.state) : node.sign} ${node.title}`, 23)),
      s("text", { class: "quiet", x: x + 11, y: y + 36 }, short(node.detail, 27)));
    return node.href ? s("a", { href: node.href }, box) : box;
  });
  const wide = columns.length * (BOX + GAP) - GAP + 2, high = tallest * (TALL + ROW) + (lane ? 10 + 5 * Math.min(lane, 6) : 0);
  const drawing = s("svg", { class: "flow", viewBox: `0 0 ${wide} ${high}`, width: wide, role: "group", "aria-label": label }, paths, boxes);
  return h("div", { class: "wide", tabindex: 0, role: "region", "aria-label": label }, drawing);
}

function short(text, most) {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}
