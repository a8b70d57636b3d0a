// Calls of the API. An answer that is an error is thrown as a Problem, with words for people.
export class Problem extends Error {
  constructor(status, { title = "", detail = "", hint = "", faults = [] } = {}, retryAfter = 0) {
    super(detail || title || `the server answered ${status}`);
    Object.assign(this, { status, title, detail: detail || title, hint, faults, retryAfter });
  }
}

export async function call(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { detail: "The server cannot be reached.", hint: "Your text is kept in this browser. It is tried again." }, 5);
  }
  if (response.ok) return response;
  if (response.status === 401) {
    location.assign("/sign-in?to=" + encodeURIComponent(location.pathname + location.search));
  }
  let problem = {};
  try {
    problem = await response.json();
  } catch {
    problem = { detail: `The answer ${response.status} is not of flink-platform.`, hint: "Is a proxy in between?" };
  }
  throw new Problem(response.status, problem, Number(response.headers.get("Retry-After")) || 0);
}

export const json = async (path, options) => (await call(path, options)).json();
