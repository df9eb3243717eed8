// Talks to the server, by addresses relative to the page's own, since a proxy may serve it under a path of its choice.
// The token, where one is needed, came in the address and is sent in a header.

const TOKEN = `appraise/token${location.pathname}`;

const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) {
  sessionStorage.setItem(TOKEN, given);
  history.replaceState(null, "", location.pathname + location.search); // out of the address bar
}

function headers(more = {}) {
  const token = sessionStorage.getItem(TOKEN);
  return { "X-Appraise": "1", ...(token ? { "X-Appraise-Token": token } : {}), ...more };
}

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function sentence(response) {
  try {
    return (await response.json()).detail || response.statusText;
  } catch {
    return response.statusText || `status ${response.status}`;
  }
}

export async function get(path, query = {}) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) search.append(name, one);
  }
  const response = await fetch(`api/${path}?${search}`, { headers: headers() });
  if (!response.ok) throw new Refused(response.status, await sentence(response));
  return response.json();
}

export async function getImage(id) {
  const response = await fetch(`api/image/${id}`, { headers: headers() });
  if (!response.ok) throw new Refused(response.status, await sentence(response));
  return response.blob();
}

// Answers come back one by one: saved, or refused with a sentence. Both 200 and 409 carry them.
export async function postAnswers(body) {
  const response = await fetch("api/answers", {
    method: "POST",
    headers: headers({ "Content-Type": "application/json" }),
    body: JSON.stringify(body),
  });
  const content = await response.json().catch(() => ({}));
  return { status: response.status, results: content.results || [], detail: content.detail || "" };
}
