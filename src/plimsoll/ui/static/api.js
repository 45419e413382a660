// Talks to the server: the token comes in the address once and stays in this origin's storage, never in a cookie.
const KEY = "plimsoll-token";
// A server that knows several people has them log in, and its cookie is for no script.
export const LOGS_IN = "login" in document.documentElement.dataset;

export function takeToken() {
  const found = /^#token=([\w-]+)(.*)$/.exec(location.hash);
  if (found) {
    localStorage.setItem(KEY, found[1]);
    history.replaceState(null, "", `${location.pathname}#/${found[2].replace(/^[#&/]+/, "")}`);
  }
  return LOGS_IN || localStorage.getItem(KEY) !== null;
}

class Refused extends Error {
  constructor(status, told) {
    super(told.message);
    this.status = status;
    this.told = told;
  }
}

async function ask(path, options) {
  let answer;
  const own = LOGS_IN ? {} : { authorization: `Bearer ${localStorage.getItem(KEY) || ""}` };
  const headers = { ...own, ...(options.headers || {}) };
  try {
    answer = await fetch(path, { ...options, headers, cache: "no-store", credentials: LOGS_IN ? "same-origin" : "omit" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, { message: "the server does not answer", hint: "start it again with plimsoll ui, and open the address that it prints" });
  }
  if (answer.status === 401 && LOGS_IN) location.assign("/login");
  if (!answer.ok) {
    let told = { message: `the server answered ${answer.status}` };
    try { told = (await answer.json()).error; } catch { /* it is no JSON: the status has to do */ }
    throw new Refused(answer.status, told);
  }
  return answer;
}

export function address(...words) {
  return `/api/${words.map(encodeURIComponent).join("/")}`;
}

export async function get(path, settings, signal) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(settings || {})) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== "" && each !== null && each !== undefined) query.append(name, String(each));
    }
  }
  const text = query.toString();
  return (await ask(text ? `${path}?${text}` : path, { signal })).json();
}

export async function post(path, body) {
  return (await ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body || {}) })).json();
}

// Server-sent events by fetch, which can send the token as a header. Reads until it is closed, and connects again.
export function events(settings, take, tell) {
  const closing = new AbortController();
  const query = new URLSearchParams(settings).toString();
  (async () => {
    let wait = 500, first = true;
    while (!closing.signal.aborted) {
      try {
        const answer = await ask(`/api/events?${query}`, { signal: closing.signal });
        tell("on");
        if (!first) take({ kind: "anew", place: "", subject: "", data: null });
        first = false;
        wait = 500;
        await read(answer.body.getReader(), take);
      } catch (error) {
        if (closing.signal.aborted) return;
        if (error.status === 401) { tell("refused", error); return; }
      }
      if (closing.signal.aborted) return;
      tell("off");
      await new Promise((done) => { setTimeout(done, wait); });
      wait = Math.min(wait * 2, 10000);
    }
  })();
  return () => closing.abort();
}

async function read(reader, take) {
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + decoder.decode(value, { stream: true })).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const data = block.split("\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice(6)).join("\n");
      if (data) take(JSON.parse(data));
    }
  }
}
