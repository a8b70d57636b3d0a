// The theme of the system, or the one that the reader chose. It runs before the page is drawn, so that nothing flashes.
(() => {
  'use strict';
  const key = 'flink-platform-theme';
  const order = ['system', 'light', 'dark'];
  const names = {system: 'Theme: as the system', light: 'Theme: light', dark: 'Theme: dark'};
  const marks = {system: '◐', light: '☀', dark: '☾'};
  const system = matchMedia('(prefers-color-scheme: dark)');
  const stored = () => {
    try { return order.includes(localStorage.getItem(key)) ? localStorage.getItem(key) : 'system'; } catch { return 'system'; }
  };
  let chosen = stored();
  const shown = () => chosen === 'system' ? (system.matches ? 'dark' : 'light') : chosen;
  const apply = () => {
    if (chosen === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = chosen;
    const button = document.getElementById('theme');
    if (button) {
      button.textContent = marks[chosen];
      button.setAttribute('aria-label', names[chosen]);
      button.title = names[chosen];
    }
    document.dispatchEvent(new CustomEvent('platform:theme', {detail: shown()}));
  };
  apply();
  system.addEventListener('change', apply);
  addEventListener('storage', e => { if (e.key === key) { chosen = stored(); apply(); } });
  window.platform = Object.assign(window.platform || {}, {theme: shown});
  document.addEventListener('DOMContentLoaded', () => {
    const button = document.getElementById('theme');
    button.hidden = false;
    button.addEventListener('click', () => {
      chosen = order[(order.indexOf(chosen) + 1) % order.length];
      try { localStorage.setItem(key, chosen); } catch { /* the choice is for this page only */ }
      apply();
    });
    apply();
  });
})();
