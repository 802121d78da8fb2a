// Speaks with the server. Every failure becomes a ServerError that says what to do.

const KEY = "trailhound.key";

export class ServerError extends Error {
  constructor(message, type, status = 0) {
    super(message);
    this.type = type;
    this.status = status;
  }
}

/** The API key of this tab; it is gone when the tab is closed. */
export const key = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (value) => (value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY)),
};

/** Return the path of something of a workspace. */
export function of(workspace, ...parts) {
  return ["/v1/workspaces", workspace, ...parts].map((part, k) => (k ? encodeURIComponent(part) : part)).join("/");
}

async function answered(path, { method = "GET", body, signal, accept = "application/json" } = {}) {
  const headers = { Accept: accept };
  if (key.get()) headers.Authorization = `Bearer ${key.get()}`;
  const form = body instanceof FormData;
  if (body !== undefined && !form) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers, signal, body: body === undefined || form ? body : JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError("The server does not answer. See whether “trailhound serve” still runs; then try again.", "unreachable");
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

async function refusal(response) {
  let said = {};
  try {
    said = (await response.json()).error ?? {};
  } catch { /* an answer without JSON, such as a proxy's */ }
  const wait = response.headers.get("Retry-After");
  const again = response.status === 503 && wait ? ` Try again in ${wait} s.` : "";
  return new ServerError((said.message ?? `The server answered with status ${response.status}.`) + again, said.type ?? "http", response.status);
}

/** Ask for JSON; returns it parsed, or null where there is none. */
export async function call(path, options) {
  const text = await (await answered(path, options)).text();
  return text ? JSON.parse(text) : null;
}

/** Yield the events of a stream as {event, data}, with data parsed, until it ends or the signal aborts it. */
export async function* events(path, body, signal) {
  const response = await answered(path, { method: "POST", body, signal, accept: "text/event-stream" });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (rest + value).replaceAll("\r\n", "\n").split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const event = parsed(block);
        if (event) yield event;
      }
    }
  } catch (error) {
    if (error.name === "AbortError" || error instanceof ServerError) throw error;
    throw new ServerError("The connection was lost during the search. Ask again.", "unreachable");
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Return one event of a stream; null for a comment that keeps the connection open. */
export function parsed(block) {
  let event = "message";
  const data = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("event:")) event = line.slice(6).trim();
    else if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
  }
  return data.length ? { event, data: JSON.parse(data.join("\n")) } : null;
}
