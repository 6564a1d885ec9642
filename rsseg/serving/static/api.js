// Requests to the server of this page; errors carry the server's own words.

const POLL = 400; // milliseconds between two looks at a piece of work

async function ask(method, path, body) {
  const options = { method, headers: { accept: "application/json" } };
  if (body !== undefined) {
    options.headers["content-type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer. Is rsseg serve still running?");
  }
  if (answer.status === 204) return null;
  const found = (answer.headers.get("content-type") || "").includes("json") ? await answer.json() : await answer.text();
  if (!answer.ok) throw Object.assign(new Error(detail(found, answer.status)), { status: answer.status });
  return found;
}

function detail(found, status) {
  const text = found && found.detail;
  if (typeof text === "string") return text;
  if (Array.isArray(text)) return text.map((part) => `${part.loc.slice(1).join(".")}: ${part.msg}`).join("; ");
  return `The server answered with status ${status}.`;
}

export const api = {
  get: (path) => ask("GET", path),
  post: (path, body) => ask("POST", path, body ?? {}),
  patch: (path, body) => ask("PATCH", path, body ?? {}),
  del: (path) => ask("DELETE", path),

  // Waits until a piece of work is done; onProgress(ticket) is called at each look.
  async finish(ticket, onProgress = () => {}) {
    let found = ticket;
    while (found.state === "queued" || found.state === "running") {
      onProgress(found);
      await new Promise((done) => setTimeout(done, POLL));
      found = await ask("GET", `/work/${encodeURIComponent(ticket.id)}`);
    }
    onProgress(found);
    if (found.state === "done") return found;
    throw Object.assign(new Error(found.message || `The work was ${found.state}.`), { state: found.state });
  },
};
