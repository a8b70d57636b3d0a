// The Workbench page: a script, its faults, what feeds what, and its rows.
import { scriptIn } from "./block.js";
import { Problem, call, json } from "./call.js";
import { show } from "./diff.js";
import { count, h, seconds } from "./dom.js";
import { create, inText } from "./editor.js";
import { draw } from "./lineage.js";
import { plain } from "./plain.js";
import { Results } from "./results.js";
import { Sources } from "./sources.js";
import { Drafts } from "./drafts.js";
import { stream } from "./run.js";

const pause = 300; // ms after the last key

const $ = (id) => document.getElementById("wb-" + id);

const retried = (problem) => problem.retryAfter > 0 || problem.status === 429;

export function open(root) {
  const page = JSON.parse(root.querySelector("#workbench-data").textContent);
  for (const part of [root, $("actions")]) part.hidden = false; // without this script the page says what else there is
  new Workbench(page);
}

class Workbench {
  constructor(page) {
    this.page = page; // job, version, newest, source, sql, chosen, catalogs, example, user
    this.drafts = new Drafts(localStorageOrNone(), page.user);
    this.key = { job: page.job ?? "", version: page.version ?? 0 };
    const draft = this.drafts.read(this.key);
    this.saved = page.source ?? "";
    this.sql = page.job ? page.sql : draft?.sql ?? true;
    this.chosen = new Set(draft?.chosen ?? page.chosen ?? []);
    const first = !page.job && !draft;
    const text = draft?.text ?? (page.job ? page.source : page.example);
    this.editor = create($("editor"), {
      text,
      name: this.sql ? "sql" : "yaml",
      label: this.sql ? "SQL script" : "Definition with a SQL script",
      onChange: () => this.changed(),
      onDebug: () => this.debug(),
      onSave: () => this.openSave(),
      catalogs: () => [...this.chosen],
    });
    $("script-title").textContent = this.sql ? "Script" : "Definition";
    this.lineage = draw($("lineage"), { tables: [] }, { onPick: (table) => this.editor.show(table.place.line, table.place.column) });
    this.results = new Results({ tables: $("tables"), warnings: $("warnings"), none: $("none"), script: () => this.script() });
    this.sources = new Sources({ into: $("data"), none: $("data-none"), data: draft?.data ?? {}, script: () => this.script(), changed: () => this.keep() });
    if (draft?.rows) $("rows").value = draft.rows;
    this.catalogs();
    this.origin();
    this.listen();
    if (draft && page.job && draft.text !== page.source) {
      this.note("info", [`These are your changes of ${new Date(draft.at).toLocaleString()}, which are not saved. `], [["Discard them", () => {
        this.editor.replace(this.saved);
        this.drafts.remove(this.key);
        this.note();
      }]]);
    } else if (first) {
      this.note("info", ["This is an example. Press Debug to see its rows, or change it. "], [["Start with an empty script", () => {
        this.editor.replace("");
        this.editor.focus();
        this.note();
      }]]);
    }
    this.check();
  }

  listen() {
    $("debug").addEventListener("click", () => this.debug());
    $("stop").addEventListener("click", () => this.stop());
    $("rows").addEventListener("change", () => this.keep());
    $("save-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.save();
    });
    $("start-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.start();
    });
    $("save").addEventListener("toggle", () => $("save").open && this.prepareSave());
    $("start").addEventListener("toggle", () => $("start").open && this.prepareStart());
    addEventListener("pagehide", () => this.keep());
  }

  // script is the SQL of what is edited, with the places that it has there.
  script() {
    const text = this.editor.text();
    return this.sql ? text : scriptIn(text)?.text ?? "";
  }

  get dirty() {
    return this.editor.text() !== this.saved;
  }

  changed() {
    this.keepSoon();
    clearTimeout(this.timer);
    this.checking?.abort(); // the newest text wins
    this.timer = setTimeout(() => this.check(), pause);
    this.origin();
  }

  keepSoon() {
    clearTimeout(this.keeping);
    this.keeping = setTimeout(() => this.keep(), 500);
  }

  keep() {
    clearTimeout(this.keeping);
    const text = this.editor.text();
    if (this.page.job && text === this.saved && !this.sources.any()) {
      this.drafts.remove(this.key);
      return;
    }
    if (!this.page.job && text === this.page.example && !this.sources.any()) return;
    const kept = this.drafts.write(this.key, { text, sql: this.sql, chosen: [...this.chosen], data: this.sources.data, rows: $("rows").value });
    if (!kept && !this.warned) {
      this.warned = true;
      this.note("warn", ["This browser does not keep your text: its storage is full or switched off. Save it before you leave the page."]);
    }
  }

  // request is a call of the API with the script.
  request(path, query = {}, options = {}) {
    const url = new URL(path, location.origin);
    for (const [key, value] of Object.entries(query)) if (value !== "" && value !== undefined) url.searchParams.set(key, value);
    if (this.sql) for (const name of this.chosen) url.searchParams.append("catalog", name);
    const kind = this.sql ? "application/sql" : "application/yaml";
    return [url.pathname + url.search, { method: "POST", ...options, headers: { "Content-Type": kind, ...options.headers }, body: options.body ?? this.editor.text() }];
  }

  async check() {
    clearTimeout(this.timer);
    this.checking?.abort();
    const aborted = (this.checking = new AbortController());
    if (this.script().trim() === "" && this.sql) {
      this.status("idle", "The script is empty.");
      this.faults([]);
      this.drawn({ tables: [], edges: [] });
      return;
    }
    this.status("busy", "Checking…");
    const began = performance.now();
    const current = () => this.checking === aborted && !aborted.signal.aborted;
    try {
      const answer = await json(...this.request("/v1/validate", {}, { signal: aborted.signal }));
      if (!current()) return;
      this.faults(answer.faults);
      const took = seconds((performance.now() - began) / 1000);
      if (answer.valid) this.status("ok", `No faults (Flink ${answer.flink}, ${took})`, answer.warnings);
      else this.status("bad", `${count(answer.faults.length, "fault")} (Flink ${answer.flink}, ${took})`, answer.warnings);
      if (!answer.valid) return;
      const lineage = await json(...this.request("/v1/lineage", {}, { signal: aborted.signal }));
      if (current()) this.drawn(lineage);
    } catch (error) {
      if (error.name === "AbortError" || !current()) return;
      this.refused(error);
      if (retried(error)) this.timer = setTimeout(() => this.check(), 1000 * (error.retryAfter || 5));
    }
  }

  // refused shows an answer that is an error, whose faults may have places.
  refused(error) {
    if (!(error instanceof Problem)) throw error;
    this.faults(error.faults);
    this.status(retried(error) ? "warn" : "bad", error.faults.length > 0 ? count(error.faults.length, "fault") : sentence(error));
  }

  status(state, text, warnings = []) {
    $("status").querySelector(".wb-dot").dataset.state = state;
    const notes = warnings.length > 0 && h("details", { class: "wb-notes" }, h("summary", { text: count(warnings.length, "note") }), ...warnings.map((warning) => h("p", { class: "small muted", text: plain(warning) })));
    if (notes && $("status-text").querySelector(".wb-notes")?.open) notes.open = true;
    $("status-text").replaceChildren(plain(text), notes || "");
  }

  announce(text) {
    $("announce").textContent = text;
  }

  faults(list) {
    this.editor.faults(list);
    const before = $("faults").children.length;
    $("faults").replaceChildren(...list.map((fault) => {
      const place = inText(fault) ? `${fault.line}:${fault.column || 1}` : "";
      const where = fault.file?.startsWith("data:") ? `data${fault.line ? `, line ${fault.line}` : ""}` : fault.file === "init.sql" ? "catalogs" : fault.path ?? "";
      return h("li", {}, h("button", { type: "button", class: "wb-fault", disabled: !place, onclick: () => this.editor.show(fault.line, fault.column || 1) },
        h("span", { class: "wb-place mono", "aria-hidden": Boolean(place) && "true", text: place || where }), place ? h("span", { class: "visually-hidden", text: `Line ${fault.line}, column ${fault.column || 1}: ` }) : null,
        h("span", { class: "wb-message" }, fault.file?.startsWith("data:") ? plain(fault.file.slice(5)) + ": " : "", plain(fault.message), fault.hint ? h("span", { class: "wb-fault-hint muted", text: plain(fault.hint) }) : null)));
    }));
    $("faults").hidden = list.length === 0;
    if (list.length > 0) this.announce(`${count(list.length, "fault")}. ${inText(list[0]) ? `Line ${list[0].line}: ` : ""}${plain(list[0].message)}`);
    else if (before > 0) this.announce("No faults.");
  }

  drawn(lineage) {
    this.lineage.update(lineage);
    $("lineage-none").hidden = (lineage.tables ?? []).length > 0;
    this.sources.update(lineage);
  }

  catalogs() {
    const into = $("catalogs");
    if (!this.sql) {
      into.replaceChildren(h("p", { class: "wb-hint small muted" }, "This is a definition: it names its catalogs itself, at ", h("code", { text: "x-platform.catalogs" }), "."));
      return;
    }
    const names = [...new Set([...this.page.catalogs, ...this.chosen])];
    if (names.length === 0) {
      into.replaceChildren(h("p", { class: "wb-hint small muted" }, "No catalogs are stored. A catalog has the tables that many jobs use; ", h("a", { href: "/catalogs", text: "store one" }), "."));
      return;
    }
    into.replaceChildren(h("p", { class: "wb-hint small muted", text: "Those that you choose are written into each check, run and version." }), ...names.map((name) => {
      const box = h("input", { type: "checkbox", onchange: () => {
        if (box.checked) this.chosen.add(name);
        else this.chosen.delete(name);
        this.keep();
        this.check();
      } });
      box.checked = this.chosen.has(name);
      return h("label", { class: "wb-catalog" }, box, h("span", { class: "mono", text: plain(name) }), this.page.catalogs.includes(name) ? null : h("span", { class: "muted small", text: "was deleted" }));
    }));
  }

  origin() {
    const { job, version } = this.page;
    $("origin").replaceChildren(...(job ? [h("a", { href: "/jobs/" + encodeURIComponent(job), text: plain(job) }), `, version ${version}`, this.dirty ? ", changed" : ""] : ["A new script, not saved"]));
    if (job && this.page.newest > version) $("origin").append(" (the newest is ", h("a", { href: `/workbench?job=${encodeURIComponent(job)}&version=${this.page.newest}`, text: `version ${this.page.newest}` }), ")");
  }

  note(kind, texts, actions = []) {
    $("note").replaceChildren();
    if (!kind) return;
    $("note").append(h("div", { class: `note note-${kind}` }, h("p", {}, ...texts), actions.length > 0 && h("div", { class: "actions" }, ...actions.map(([text, act]) => h("button", { class: "button", type: "button", text, onclick: act })))));
  }

  // debug

  async debug() {
    if (this.running) return;
    const aborted = (this.running = new AbortController());
    $("debug").disabled = true;
    $("stop").hidden = false;
    $("progress").hidden = false;
    this.results.clear();
    $("none").hidden = true;
    this.runStatus("Sent.");
    let rows = 0;
    let ended = false;
    const faults = [];
    const data = this.sources.parts();
    let [path, options] = this.request("/v1/debug", { rows: $("rows").value });
    if (data.length > 0) {
      const form = new FormData();
      form.append("script", new Blob([options.body], { type: options.headers["Content-Type"] }), this.sql ? "job.sql" : "job.yaml");
      for (const { table, type, body } of data) form.append("data:" + table, new Blob([body], { type }), table);
      options = { method: "POST", body: form };
    }
    const heard = {
      queued: ({ place }) => this.runStatus(place > 1 ? `Place ${place} in the queue.` : "Next in the queue."),
      started: ({ warm, flink }) => this.runStatus(warm ? `A JVM with Flink ${flink} has the script.` : `A JVM with Flink ${flink} is started, which takes some seconds.`),
      running: ({ sinks, warnings }) => {
        this.runStatus("Running…");
        this.results.begin(sinks, warnings);
      },
      columns: (columns) => this.results.columns(columns),
      row: (row) => {
        rows++;
        this.results.row(row);
        this.runStatus(`Running… ${count(rows, "row")}`);
      },
      line: ({ text }) => this.results.line(text),
      warning: ({ text }) => this.results.warn(text),
      fault: (fault) => faults.push(fault),
      end: (end) => {
        ended = true;
        this.end(end, faults);
      },
    };
    try {
      await stream(path, { ...options, signal: aborted.signal }, (event, data) => heard[event]?.(data));
      if (!ended) this.runStatus("The connection ended before the run did. Press Debug to run it again.", "bad");
    } catch (error) {
      if (error.name === "AbortError") this.runStatus(`Stopped by you after ${count(rows, "row")}.`, "idle");
      else if (error instanceof Problem) {
        if (error.faults.length > 0) this.faults(error.faults);
        this.runStatus(error.faults.length > 0 ? `Not run: ${count(error.faults.length, "fault")}.` : "Not run: " + sentence(error), "bad");
      } else throw error;
    } finally {
      this.running = null;
      this.results.end();
      $("debug").disabled = false;
      if (document.activeElement === $("stop")) $("debug").focus();
      $("stop").hidden = true;
      $("progress").hidden = true;
      this.announce($("run").textContent);
    }
  }

  end(end, faults) {
    if (faults.length > 0) this.faults(faults);
    const times = [end.firstRowSeconds ? `first row after ${seconds(end.firstRowSeconds)}` : "", `took ${seconds(end.seconds)}`].filter(Boolean).join(", ");
    if (end.outcome === "failed") this.runStatus(faults.length > 0 ? `Failed: ${count(faults.length, "fault")}. The first: ${faults[0].message}` : "Failed: " + end.reason, "bad");
    else if (end.outcome === "limited") this.runStatus(`Limited: ${end.reason} (${times}).`, "warn");
    else if (end.rows === 0) this.runStatus((end.expectsRows ? "Finished without a row: a filter, join or window let none through. Try more rows of each source, or paste some." : "Finished. The script has no INSERT and no query, so it gives no rows.") + ` It ${times}.`, "warn");
    else this.runStatus(`Finished: ${count(end.rows, "row")}, ${times}.`, "ok");
  }

  runStatus(text, state = "busy") {
    $("run").textContent = plain(text);
    $("run").dataset.state = state;
  }

  stop() {
    this.running?.abort();
  }

  // save and start

  openSave() {
    $("save").open = true;
  }

  prepareSave() {
    $("save-result").replaceChildren();
    if (!$("job").value) $("job").value = this.page.job ?? "";
    $("job").focus();
    if (this.page.job) $("comment").focus();
  }

  // save makes a version. seen is the newest version that the user knows of; without it the job must not exist yet.
  async save(seen = $("job").value === this.page.job ? this.page.newest : 0) {
    const name = $("job").value;
    const button = $("save-button");
    const text = this.editor.text();
    button.disabled = true;
    try {
      const headers = { "Idempotency-Key": crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`, ...(seen > 0 ? { "If-Match": `"v${seen}"` } : { "If-None-Match": "*" }) };
      const [path, options] = this.request(`/v1/jobs/${encodeURIComponent(name)}`, { comment: $("comment").value }, { method: "PUT", headers });
      const version = await json(path, options);
      this.drafts.remove(this.key);
      Object.assign(this.page, { job: name, version: version.number, newest: version.number, source: text, sql: this.sql });
      this.saved = text;
      this.key = { job: name, version: version.number };
      history.replaceState(null, "", `/workbench?job=${encodeURIComponent(name)}&version=${version.number}`);
      $("comment").value = "";
      this.keep();
      this.origin();
      this.note();
      $("save").open = false;
      const saved = `Saved as version ${version.number} of ${plain(name)}.`;
      this.note("ok", [saved + " ", ...(version.warnings ?? []).flatMap((warning) => [h("span", { class: "wb-warning", text: plain(warning) }), " "]), h("a", { href: "/jobs/" + encodeURIComponent(name), text: "Show the job" }), " "], [["Start it", () => {
        $("start").open = true;
      }]]);
      this.announce(saved);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.status === 412) await this.conflict(name, text);
      else {
        if (error.faults.length > 0) this.faults(error.faults);
        $("save-result").replaceChildren(this.problem(error));
      }
    } finally {
      button.disabled = false;
    }
  }

  // conflict: somebody else has saved a version meanwhile, or the name exists.
  async conflict(name, text) {
    const into = $("save-result");
    try {
      const job = await json(`/v1/jobs/${encodeURIComponent(name)}`);
      const theirs = await json(`/v1/jobs/${encodeURIComponent(name)}/versions/${job.newestVersion}?view=info`);
      const what = name === this.page.job ? `You began from version ${this.page.version}. Meanwhile ${plain(theirs.createdBy)} has saved version ${theirs.number}${theirs.comment ? ` (${plain(theirs.comment)})` : ""}.` : `A job ${plain(name)} exists already; its newest version is ${theirs.number}.`;
      into.replaceChildren(h("p", { text: "Not saved. " + what }));
      $("save").open = false;
      const box = h("div", { class: "wb-conflict" });
      this.note("warn", ["Not saved. " + what + " Compare it with your text. "], [
        [`Save mine as version ${theirs.number + 1}`, () => this.save(theirs.number)],
        [`Edit version ${theirs.number}`, () => {
          location.href = `/workbench?job=${encodeURIComponent(name)}&version=${theirs.number}`;
        }],
      ]);
      $("note").firstChild.append(box);
      show(box, theirs.source, text, { language: this.sql ? "sql" : "yaml", oldLabel: `Version ${theirs.number}`, newLabel: "Your text" });
      this.announce("Not saved. " + what);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      into.replaceChildren(this.problem(error));
    }
  }

  prepareStart() {
    const { job, version } = this.page;
    $("start-result").replaceChildren();
    $("start-button").disabled = !job;
    $("start-form").querySelector("fieldset").hidden = !job;
    $("start-what").textContent = !job ? "Save the script first: a version is started, not a text." : `Starts version ${version} of ${job} on a cluster.` + (this.dirty ? " Your changes since then are not in it; save them first to run them." : "");
  }

  async start() {
    const { job, version } = this.page;
    $("start-button").disabled = true;
    try {
      const savepoint = new FormData($("start-form")).get("savepoint");
      await call(`/v1/jobs/${encodeURIComponent(job)}/start`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ version, ...(savepoint ? { savepoint } : {}) }) });
      location.href = "/jobs/" + encodeURIComponent(job);
    } catch (error) {
      $("start-button").disabled = false;
      if (!(error instanceof Problem)) throw error;
      $("start-result").replaceChildren(this.problem(error), error.status === 409 ? h("p", {}, h("a", { href: "/jobs/" + encodeURIComponent(job), text: "Show the job" })) : "");
    }
  }

  problem(error) {
    return h("div", { class: "note note-bad" }, h("p", { text: plain(error.detail) }), error.hint ? h("p", { class: "small", text: plain(error.hint) }) : null,
      error.faults.length > 0 ? h("ul", { class: "faults" }, ...error.faults.map((fault) => h("li", { text: plain((fault.line ? `${fault.line}:${fault.column || 1}: ` : "") + fault.message) }))) : null);
  }
}

// sentence is what an error says, with the way out.
function sentence(error) {
  return [error.detail, error.hint].filter(Boolean).map((text) => text.charAt(0).toUpperCase() + text.slice(1).replace(/[.]?$/, ".")).join(" ");
}

function localStorageOrNone() {
  try {
    return window.localStorage;
  } catch {
    return null; // switched off
  }
}
