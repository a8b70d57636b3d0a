// The editor: CodeMirror with what the workbench needs. Colours are in editor.css.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { bracketMatching, indentUnit, language } from "@codemirror/language";
import { lintGutter, lintKeymap, linter, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { Compartment, EditorState, Prec } from "@codemirror/state";
import { EditorView, drawSelection, dropCursor, highlightActiveLine, highlightActiveLineGutter, highlightSpecialChars, keymap, lineNumbers, placeholder } from "@codemirror/view";
import { highlightTree } from "@lezer/highlight";
import { completions } from "./complete.js";
import { scriptIn } from "./block.js";
import { definition } from "./definition.js";
import { h } from "./dom.js";
import { highlighter, sql, words } from "./flinksql.js";
import { plain } from "./plain.js";

// nonce lets CodeMirror's one style element pass the page's content security policy.
const nonce = () => document.querySelector('meta[name="csp-nonce"]')?.content ?? "";

export const base = () => [
  EditorView.cspNonce.of(nonce()),
  highlightSpecialChars(),
  drawSelection(),
  lineNumbers(),
  EditorView.darkTheme.of(false), // editor.css has both themes
];

// inText reports whether a fault has a place in the text: others are in the catalogs of a definition, or in pasted data.
export const inText = (fault) => fault.line > 0 && !/^(?:data:|init\.sql)/.test(fault.file ?? "");

export const languageOf = (name) => (name === "yaml" ? definition() : sql());

export function create(parent, { text, name, label, onChange, onDebug, onSave, catalogs = () => [] }) {
  const inLanguage = new Compartment();
  let kind = name;
  const source = (context) => {
    const text = context.state.doc.toString();
    const script = kind === "yaml" ? scriptIn(text) : { from: 0, to: text.length, text };
    if (!script || context.pos < script.from || context.pos > script.to) return null;
    const typed = context.matchBefore(/[\p{L}\p{N}_$`]+/u);
    const afterDot = context.state.sliceDoc(context.pos - 1, context.pos) === ".";
    if (!typed && !afterDot && !context.explicit) return null;
    const found = completions(script.text, context.pos, { catalogs: catalogs(), words });
    if (!found || found.options.length === 0) return null;
    return { ...found, validFor: /^[\p{L}\p{N}_$`]*$/u };
  };
  const view = new EditorView({
    parent,
    state: EditorState.create({
      doc: text,
      extensions: [
        base(),
        Prec.highest(keymap.of([
          { key: "Mod-Enter", run: () => (onDebug(), true) },
          { key: "Mod-s", run: () => (onSave(), true), preventDefault: true },
        ])),
        history(),
        dropCursor(),
        highlightActiveLine(),
        highlightActiveLineGutter(),
        bracketMatching(),
        closeBrackets(),
        highlightSelectionMatches(),
        search({ top: true }),
        autocompletion({ override: [source], maxRenderedOptions: 60, icons: false }),
        linter(null),
        lintGutter(),
        indentUnit.of("  "),
        EditorState.tabSize.of(2),
        placeholder("Write SQL here"),
        EditorView.contentAttributes.of({ tabindex: "0", "aria-label": label, "aria-describedby": "wb-keys", spellcheck: "false", autocapitalize: "off", autocorrect: "off" }),
        inLanguage.of(languageOf(kind)),
        keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...searchKeymap, ...historyKeymap, ...completionKeymap, ...lintKeymap, indentWithTab]),
        EditorView.updateListener.of((update) => update.docChanged && onChange()),
      ],
    }),
  });
  const offset = (line, column) => {
    const at = view.state.doc.line(Math.min(Math.max(line, 1), view.state.doc.lines));
    return Math.min(at.from + Math.max(column - 1, 0), at.to);
  };
  return {
    view,
    text: () => view.state.doc.toString(),
    // replace can be undone by the user.
    replace(text, name = kind) {
      const effects = [];
      if (name !== kind) {
        kind = name;
        effects.push(inLanguage.reconfigure(languageOf(kind)));
      }
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text }, selection: { anchor: 0 }, effects, scrollIntoView: true });
    },
    faults(list) {
      const diagnostics = list.filter(inText).map((fault) => {
        const from = offset(fault.line, fault.column || 1);
        // endColumn is of the last character.
        let to = fault.endLine > 0 ? offset(fault.endLine, fault.endColumn + 1) : view.state.wordAt(from)?.to ?? from + 1;
        to = Math.min(Math.max(to, from), view.state.doc.length);
        return { from: to === from ? Math.max(from - 1, 0) : from, to, severity: "error", message: plain(fault.message), renderMessage: () => h("div", {}, h("div", { text: plain(fault.message) }), fault.hint ? h("div", { class: "cm-hint", text: plain(fault.hint) }) : null) };
      });
      diagnostics.sort((a, b) => a.from - b.from);
      view.dispatch(setDiagnostics(view.state, diagnostics));
    },
    show(line, column = 1) {
      const at = offset(line, column);
      view.dispatch({ selection: { anchor: at }, effects: EditorView.scrollIntoView(at, { y: "center" }) });
      view.focus();
    },
    focus: () => view.focus(),
  };
}

// code shows a text with highlighting, without an editor.
export function code(into, text, name) {
  const support = languageOf(name);
  const state = EditorState.create({ doc: text, extensions: [support] });
  const parser = state.facet(language).parser;
  const tree = parser.parse(state.doc.toString());
  const parts = document.createDocumentFragment();
  let at = 0;
  const add = (to, classes) => {
    if (to <= at) return;
    const piece = plainKeepingLines(state.sliceDoc(at, to));
    parts.append(classes ? h("span", { class: classes, text: piece }) : piece);
    at = to;
  };
  highlightTree(tree, highlighter, (from, to, classes) => {
    add(from, "");
    add(to, classes);
  });
  add(state.doc.length, "");
  into.replaceChildren(parts);
}

const plainKeepingLines = (text) => text.split("\n").map((line) => line.split("\t").map(plain).join("\t")).join("\n");
