// h makes an element. Texts become text nodes; attributes that begin with "on" are listeners, and false ones are left out.
export function h(name, attributes = {}, ...children) {
  const out = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) out.addEventListener(key.slice(2), value);
    else if (key === "text") out.textContent = value;
    else if (key === "value") out.value = value;
    else out.setAttribute(key, value === true ? "" : value);
  }
  out.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return out;
}

export const count = (n, one, many = one + "s") => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;

export const seconds = (n) => `${n < 10 ? n.toFixed(n < 1 ? 2 : 1) : Math.round(n)} s`;
