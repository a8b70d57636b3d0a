// Two texts beside each other, or one above the other where there is little room.
import { MergeView, unifiedMergeView } from "@codemirror/merge";
import { EditorState } from "@codemirror/state";
import { EditorView } from "@codemirror/view";
import { h } from "./dom.js";
import { base, languageOf } from "./editor.js";

const collapse = { margin: 3, minSize: 6 };

export function show(into, oldText, newText, { language = "sql", layout = "auto", oldLabel = "before", newLabel = "after" } = {}) {
  const wide = () => layout === "split" || (layout === "auto" && into.clientWidth >= 720);
  const readOnly = (label) => [base(), EditorState.readOnly.of(true), EditorView.editable.of(false), EditorView.lineWrapping, EditorView.contentAttributes.of({ "aria-label": label, tabindex: "0" }), languageOf(language)];
  if (oldText === newText) {
    const same = h("p", { class: "muted", text: "The texts are the same." });
    into.append(same);
    return { destroy: () => same.remove() };
  }
  const box = h("div", { class: "diff-view" });
  into.append(box);
  let split, view;
  const draw = () => {
    if (split === wide()) return;
    split = wide();
    view?.destroy();
    box.replaceChildren();
    if (split) {
      box.append(h("div", { class: "diff-labels" }, h("span", { text: oldLabel }), h("span", { text: newLabel })));
      view = new MergeView({ parent: box, a: { doc: oldText, extensions: readOnly(oldLabel) }, b: { doc: newText, extensions: readOnly(newLabel) }, collapseUnchanged: collapse, gutter: true, highlightChanges: true });
    } else {
      box.append(h("div", { class: "diff-labels" }, h("span", { text: `${oldLabel} → ${newLabel}` })));
      view = new EditorView({ parent: box, doc: newText, extensions: [readOnly(`${oldLabel} compared with ${newLabel}`), unifiedMergeView({ original: oldText, mergeControls: false, collapseUnchanged: collapse })] });
    }
  };
  draw();
  const resized = new ResizeObserver(draw); // a window that is made narrow, a phone that is turned
  resized.observe(into);
  return {
    destroy() {
      resized.disconnect();
      view.destroy();
      box.remove();
    },
  };
}
