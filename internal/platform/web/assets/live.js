// What is live: times, and the parts of a page that are read again after an event of the server.
(() => {
  'use strict';
  const platform = window.platform = Object.assign(window.platform || {}, {ago, toast, problem, fetch: ask});

  // ago is how long ago a time is; functions.go has the same rule.
  function ago(date) {
    let seconds = (Date.now() - date.getTime()) / 1000;
    const future = seconds < 0;
    seconds = Math.abs(seconds);
    if (seconds < 5) return 'just now';
    const text = seconds < 60 ? `${Math.floor(seconds)} s` : seconds < 3600 ? `${Math.floor(seconds / 60)} min`
      : seconds < 172800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86400)} days`;
    return future ? `in ${text}` : `${text} ago`;
  }

  function times(root) {
    for (const t of root.querySelectorAll('time[data-ago]')) {
      const date = new Date(t.dateTime);
      if (isNaN(date)) continue;
      const text = ago(date);
      if (t.textContent !== text) t.textContent = text;
      const exact = date.toLocaleString(undefined, {dateStyle: 'medium', timeStyle: 'long'});
      if (t.title !== exact) t.title = exact;
    }
  }

  function toast(text, kind = 'info') {
    const box = document.createElement('p');
    box.className = `note note-${kind}`;
    box.textContent = text;
    document.getElementById('toasts').append(box);
    setTimeout(() => box.remove(), 8000);
  }

  // problem reads the problem document of an answer.
  async function problem(response) {
    try {
      const p = await response.json();
      if (p && p.title) return p;
    } catch { /* it is not one */ }
    return {title: `${response.status} ${response.statusText}`, status: response.status, detail: 'the answer is not of flink-platform'};
  }

  function signIn() {
    location.assign('/sign-in?to=' + encodeURIComponent(location.pathname + location.search));
  }

  // ask is fetch that throws a problem. Without a session it goes to the page for signing in.
  async function ask(path, options) {
    let response;
    try {
      response = await fetch(path, options);
    } catch (e) {
      if (e.name === 'AbortError') throw e;
      throw {title: 'The server cannot be reached', status: 0, detail: 'it may be starting again; try again in a moment'};
    }
    if (response.status === 401) signIn();
    if (!response.ok) throw await problem(response);
    return response;
  }

  // refresh reads the page again and takes over its parts.
  let reading = false, again = false;
  async function refresh() {
    if (reading) { again = true; return; }
    reading = true;
    try {
      const response = await fetch(location.href, {headers: {Accept: 'text/html'}});
      if (response.redirected && new URL(response.url).pathname === '/sign-in') return signIn();
      if (!response.ok) return;
      const page = new DOMParser().parseFromString(await response.text(), 'text/html');
      for (const old of document.querySelectorAll('[data-part]')) replace(old, page);
    } catch { /* the server is away; the stream says so, and what is shown stays */ } finally {
      reading = false;
      if (again) { again = false; refresh(); }
    }
  }

  function replace(old, page) {
    const part = page.querySelector(`[data-part="${CSS.escape(old.dataset.part)}"]`);
    if (!part) return;
    const focus = document.activeElement;
    const within = old.contains(focus);
    if (within && focus.matches('input, textarea, select')) return; // the reader is typing
    times(part);
    for (const d of old.querySelectorAll('details[id][open]')) {
      const same = part.querySelector('#' + CSS.escape(d.id));
      if (same) same.open = true;
    }
    if (old.innerHTML === part.innerHTML) return;
    const place = within ? focused(old, focus) : null;
    const scrolled = [...old.querySelectorAll('.table-wrap, pre')].map(e => e.scrollLeft);
    old.replaceChildren(...document.adoptNode(part).childNodes);
    [...old.querySelectorAll('.table-wrap, pre')].forEach((e, i) => { if (scrolled[i]) e.scrollLeft = scrolled[i]; });
    if (place) place(old)?.focus({preventScroll: true});
    document.dispatchEvent(new CustomEvent('platform:part', {detail: {part: old}}));
  }

  // focused finds the element with the focus again: by its id, else the link to the same address, or the button with the same text.
  function focused(old, focus) {
    if (focus.id) return root => root.querySelector('#' + CSS.escape(focus.id));
    const address = focus.getAttribute('href');
    if (address) return root => [...root.querySelectorAll('a')].find(a => a.getAttribute('href') === address);
    const text = focus.textContent;
    return root => [...root.querySelectorAll(focus.localName)].find(e => e.textContent === text);
  }

  // After an event the page is read again, at most once a second.
  let last = 0, waiting = 0;
  function soon() {
    if (waiting) return;
    const wait = Math.max(100, last + 1000 - Date.now());
    waiting = setTimeout(() => { waiting = 0; last = Date.now(); refresh(); }, wait);
  }

  let stream = null;
  function state(text, kind) {
    const mark = document.getElementById('live');
    mark.hidden = false;
    mark.dataset.state = kind;
    mark.textContent = text;
  }
  function open() {
    const address = document.body.dataset.live;
    if (!address || stream) return;
    stream = new EventSource(address);
    let before = false;
    stream.addEventListener('open', () => {
      state('live', 'on');
      if (before) soon(); // something may have happened meanwhile
      before = true;
    });
    stream.addEventListener('error', () => {
      if (stream.readyState === EventSource.CLOSED) { // refused: the session may have ended
        stream = null;
        state('not live', 'off');
        setTimeout(() => { if (!document.hidden) { refresh(); open(); } }, 5000);
      } else state('reconnecting', 'off');
    });
    stream.addEventListener('transition', e => {
      document.dispatchEvent(new CustomEvent('platform:event', {detail: JSON.parse(e.data)}));
      soon();
    });
  }

  // A click elsewhere closes what a button has opened; first, since what is clicked may open another one.
  document.addEventListener('click', e => {
    for (const opened of document.querySelectorAll('.actions > details.action[open]')) if (!opened.contains(e.target)) opened.open = false;
  }, true);

  // Escape closes it, too, and the button gets the focus again.
  document.addEventListener('keydown', e => {
    const opened = e.key === 'Escape' && e.target.closest('details.action[open]');
    if (!opened) return;
    opened.open = false;
    opened.querySelector('summary').focus();
  });

  // Browsers allow six connections to a server over all tabs: one that is not seen needs none.
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) {
      if (stream) { stream.close(); stream = null; }
    } else {
      open();
      if (document.body.dataset.live || document.body.dataset.every) soon();
    }
  });

  document.addEventListener('DOMContentLoaded', () => {
    times(document);
    setInterval(() => times(document), 5000);
    if (!document.hidden) open();
    const every = Number(document.body.dataset.every);
    if (every) setInterval(() => { if (!document.hidden) soon(); }, every * 1000);
  });
})();
