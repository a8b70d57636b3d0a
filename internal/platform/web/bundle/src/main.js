// The scripts of the pages that draw, compare or edit. One global, FlinkPlatform; parts of a page that say by attributes what they want need no
// script of their own.
import { code } from "./editor.js";
import { draw, sentences } from "./lineage.js";
import { show } from "./diff.js";
import { json } from "./call.js";
import { open } from "./workbench.js";

export const drawLineage = draw;
export const showDiff = show;
export const showCode = code;

// once keeps a part of a page from being done twice.
const once = (root, selector, f) => {
  const all = [...(root.matches?.(selector) ? [root] : []), ...root.querySelectorAll(selector)];
  for (const element of all) {
    if (element.dataset.enhanced) continue;
    element.dataset.enhanced = "true";
    f(element);
  }
};

export function enhance(root = document) {
  once(root, "[data-lineage]", async (element) => {
    const inline = element.querySelector('script[type="application/json"]');
    const url = element.dataset.lineage;
    try {
      const lineage = inline ? JSON.parse(inline.textContent) : await json(url);
      for (const child of element.children) child.classList.add("visually-hidden"); // the same in words
      draw(element, lineage);
    } catch (error) {
      if (!inline) element.append(Object.assign(document.createElement("p"), { className: "muted", textContent: error.message }));
    }
  });
  once(root, "[data-diff]", (element) => {
    const [before, after] = [element.querySelector("[data-old]"), element.querySelector("[data-new]")];
    const label = (side) => side.getAttribute("aria-label") ?? undefined;
    const texts = [before.textContent, after.textContent];
    const labels = [label(before), label(after)];
    element.replaceChildren();
    show(element, ...texts, { language: element.dataset.language, layout: element.dataset.layout, oldLabel: labels[0], newLabel: labels[1] });
  });
  once(root, "[data-code]", (element) => code(element, element.textContent, element.dataset.code));
  once(root, "#workbench", open);
}

export { sentences };

document.addEventListener("platform:part", (event) => enhance(event.detail?.part ?? document));
if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", () => enhance());
else enhance();
