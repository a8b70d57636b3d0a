// Pages of one job: what a form chooses by itself, and logs that go on. Without it the pages show the same, as it was when they were loaded.
"use strict";
(() => {
  // Who writes a path wants to start from it.
  document.addEventListener("input", (event) => {
    const id = event.target.dataset && event.target.dataset.chooses;
    const radio = id && document.getElementById(id);
    if (radio) radio.checked = true;
  });

  // What would change how a line is read is shown instead of done. functions.go has the same rule.
  const plain = (text) => text.replace(/[\u0000-\u0008\u000a-\u001f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
    .replace(/\u007f/g, "\u2421").replace(/[\u0080-\u009f\u2028\u2029]|\p{Cf}/gu, "\ufffd");

  // As logs.go says.
  const levels = { ERROR: "ERROR", FATAL: "ERROR", WARN: "WARN", WARNING: "WARN", INFO: "INFO", DEBUG: "DEBUG", TRACE: "DEBUG" };
  const levelOf = (line) => {
    if (line.length < 20 || line[0] < "0" || line[0] > "9") return "";
    for (const word of line.slice(0, 60).trim().split(/\s+/).slice(0, 4)) {
      const level = levels[word.replace(/^[[\]:]+|[[\]:]+$/g, "")];
      if (level) return level;
    }
    return "";
  };

  const log = document.getElementById("log");
  if (!log) return;
  const state = document.getElementById("log-state");
  const button = document.getElementById("log-follow");
  const number = new Intl.NumberFormat("en");
  const most = Number(log.dataset.most); // lines in the page, however long the log is
  const mostText = 8 << 20; // characters of them
  const toEnd = () => { log.scrollTop = log.scrollHeight; };
  toEnd();
  if (!button) return;

  let pending = []; // lines that are not in the page yet, at most a few more than it can hold
  let planned = false, held = 0, dropped = 0, fresh = false;
  let stopping = null; // AbortController of the stream

  const show = (l) => {
    const line = document.createElement("span");
    line.className = "log-line";
    const level = levelOf(l.line);
    if (level) line.dataset.level = level;
    if (!log.dataset.single) {
      const source = document.createElement("span");
      source.className = "log-source";
      source.textContent = plain(l.source);
      line.append(source, " ");
    }
    line.append(plain(l.line) + "\n");
    return line;
  };

  const flush = () => {
    planned = false;
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 48;
    if (fresh) {
      log.textContent = "";
      fresh = false;
      held = 0;
    }
    if (pending.length > most) {
      dropped += pending.length - most;
      pending = pending.slice(-most);
    }
    const part = document.createDocumentFragment();
    for (const l of pending) {
      const line = show(l);
      held += line.textContent.length;
      part.append(line);
    }
    pending = [];
    log.append(part);
    while (log.childElementCount > most || held > mostText && log.childElementCount > 1) {
      held -= log.firstElementChild.textContent.length;
      log.firstElementChild.remove();
      dropped++;
    }
    if (atEnd) toEnd();
    if (stopping) say("");
  };

  const plan = () => {
    if (planned) return;
    planned = true;
    requestAnimationFrame(flush);
  };

  const say = (text) => {
    const count = `${number.format(log.childElementCount)} lines` + (dropped ? `, ${number.format(dropped)} earlier ones are not shown here: Download all has them` : "");
    state.textContent = text ? `${text} (${count})` : `Following: ${count}`;
  };

  const take = (text) => {
    try {
      pending.push(JSON.parse(text));
    } catch {
      return;
    }
    if (pending.length > 2 * most) {
      dropped += pending.length - most;
      pending = pending.slice(-most);
    }
    plan();
  };

  const read = async (signal) => {
    const answer = await fetch(`${log.dataset.stream}&tail=${log.dataset.tail}&follow=true`, { signal, credentials: "same-origin" });
    if (!answer.ok) {
      const problem = await answer.json().catch(() => ({}));
      throw Object.assign(new Error(problem.detail || `the server answered ${answer.status}`), { refused: answer.status < 500 && answer.status !== 429 });
    }
    fresh = true;
    plan();
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      lines.forEach(take);
    }
  };

  const follow = async () => {
    const mine = stopping = new AbortController();
    button.textContent = "Stop following";
    button.setAttribute("aria-pressed", "true");
    dropped = 0;
    say("");
    while (stopping === mine) {
      try {
        await read(mine.signal);
        if (stopping !== mine) return;
        flush();
        stop("The run has ended; these are its last lines");
        return;
      } catch (error) {
        if (mine.signal.aborted) return;
        if (error.refused) {
          stop(error.message);
          return;
        }
        say(`${error.message}: trying again in 3 s`);
        await new Promise((go) => setTimeout(go, 3000));
      }
    }
  };

  const stop = (text) => {
    const was = stopping;
    stopping = null;
    if (was) was.abort();
    button.textContent = "Follow";
    button.setAttribute("aria-pressed", "false");
    if (text) say(text);
  };

  button.hidden = false;
  button.addEventListener("click", () => {
    if (stopping) stop("Not following");
    else follow();
  });
  // A browser has six connections to a server for all its pages: one that nobody looks at keeps none.
  let wanted = false;
  document.addEventListener("visibilitychange", () => {
    if (document.hidden && stopping) {
      wanted = true;
      stop("");
    } else if (!document.hidden && wanted) {
      wanted = false;
      follow();
    }
  });
  if (document.hidden) wanted = true;
  else follow();
})();
