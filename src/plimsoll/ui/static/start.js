// What the page begins with is asked for while its other files are still on their way.
import { get, takeToken } from "./api.js";

export const LIMIT = 50;

export function parse() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  let words = [];
  try { words = path.split("/").filter(Boolean).map(decodeURIComponent); } catch { /* a broken address leads to the first page */ }
  return { place: words[0] || "", room: words[1] || "runs", words: words.slice(2), settings: new URLSearchParams(query || "") };
}

// The rows that an address asks for.
export function rowsOf(settings) {
  return {
    sort: settings.get("sort") || "number", descending: settings.get("descending") !== "false",
    text: settings.get("text") || "", state: settings.get("state") || "",
    offset: Number(settings.get("offset")) || 0, column: settings.getAll("column"), limit: LIMIT,
  };
}

function begin() {
  const { place, room, words, settings } = parse();
  return room === "runs" && !words.length ? get("/api/start", { place, ...rowsOf(settings) }) : get("/api/places");
}

// The places, and the rows of the first page where it is a table of runs; nothing without a token.
export const started = takeToken() ? begin() : null;
// Whoever waits for it tells what went wrong.
if (started) started.catch(() => {});
