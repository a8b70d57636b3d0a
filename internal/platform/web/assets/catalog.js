// The check of a catalog, with progress while it runs.
(() => {
  'use strict';
  const form = document.getElementById('check');
  if (!form) return;
  const out = document.getElementById('checked');
  const element = (name, className, ...content) => {
    const e = document.createElement(name);
    if (className) e.className = className;
    e.append(...content);
    return e;
  };
  form.addEventListener('submit', async e => {
    e.preventDefault();
    const button = form.querySelector('button');
    button.disabled = true;
    const began = Date.now();
    const seconds = element('span', 'muted small', '0 s');
    const bar = element('div', 'progress');
    bar.setAttribute('role', 'progressbar');
    bar.setAttribute('aria-label', 'The check runs');
    out.replaceChildren(element('div', 'note', element('p', '', 'Connecting … ', seconds), bar));
    const clock = setInterval(() => { seconds.textContent = `${Math.floor((Date.now() - began) / 1000)} s`; }, 1000);
    try {
      const c = await (await platform.fetch(form.dataset.check, {method: 'POST'})).json();
      show(c.ok ? 'ok' : 'bad', c.ok ? 'It works' : 'It does not work', c.message, c.faults, Date.now() - began);
    } catch (p) {
      show('bad', p.title || 'The check failed', [p.detail, p.hint].filter(Boolean).join('; '), p.faults, Date.now() - began);
    } finally {
      clearInterval(clock);
      button.disabled = false;
      button.focus();
    }
  });
  function show(kind, title, message, faults, took) {
    const head = element('p', '', element('strong', '', title), message ? `: ${message}` : '', ' ', element('span', 'muted small', `(${(took / 1000).toFixed(1)} s)`));
    const note = element('div', `note note-${kind}`, head);
    for (const f of faults || []) {
      if (f.message !== message) note.append(element('p', '', f.message));
      if (f.hint) note.append(element('p', 'hint', f.hint));
    }
    out.replaceChildren(note);
  }
})();
