// The JSON interface, with refusals as words.

export class Refusal extends Error {
  constructor(status, words, retryAfter) {
    super(words);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

async function call(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0, "The server cannot be reached. Is gqa-reasoner serve still running?");
  }
  let body = null;
  try { body = await response.json(); } catch { /* no JSON: the status speaks */ }
  if (response.ok && body !== null) return body;
  const words = body?.error ?? `The server answered with status ${response.status}.`;
  throw new Refusal(response.status, words, Number(response.headers.get("retry-after")) || 0);
}

/** As `call`, trying twice more when the server is busy. */
async function patient(path, options = {}) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await call(path, options);
    } catch (error) {
      if (error.status !== 429 || attempt === 2) throw error;
      await new Promise((done) => setTimeout(done, Math.min(error.retryAfter || 1, 5) * 1000));
      options.signal?.throwIfAborted();
    }
  }
}

const posted = (body, signal) => ({
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
  signal,
});
const query = (values) => new URLSearchParams(values).toString();

export const api = {
  collection: () => call("/api/collection"),
  find: (question, limit, signal) => patient(`/api/find?${query({ question, limit })}`, { signal }),
  pictures: (offset, limit, signal) => call(`/api/pictures?${query({ offset, limit })}`, { signal }),
  sizes: (ids, signal) => call(`/api/pictures?${query(ids.map((id) => ["id", id]))}`, { signal }),
  picture: (id, signal) => call(`/api/picture?${query({ id })}`, { signal }),
  similar: (id, signal) => call(`/api/similar?${query({ id, limit: 6 })}`, { signal }),
  uploaded: (token, signal) => call(`/api/upload?${query({ token })}`, { signal }),
  ask: (body, signal) => patient("/api/ask", posted(body, signal)),
  compare: (body, signal) => patient("/api/compare", posted(body, signal)),
  opened: (body) => call("/api/opened", { ...posted(body), keepalive: true }).catch(() => null),
  upload: (file) => {
    const form = new FormData();
    form.append("file", file);
    return call("/api/upload", { method: "POST", body: form });
  },
};

export const address = {
  thumbnail: (id) => `/api/thumbnail?${query({ id })}`,
  image: (id) => `/api/image?${query({ id })}`,
  uploaded: (token) => `/api/upload/image?${query({ token })}`,
  results: (question) => (question ? `/?${query({ q: question })}` : "/"),
  picture: (values) => {
    const kept = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== "");
    return `/picture?${query(kept)}`;
  },
};
