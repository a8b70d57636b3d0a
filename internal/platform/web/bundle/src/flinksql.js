// Flink SQL as a language of CodeMirror.
import { LanguageSupport, StreamLanguage, syntaxHighlighting } from "@codemirror/language";
import { tagHighlighter, tags } from "@lezer/highlight";
import { start, tokenOf } from "./lex.js";
import { styleOf, wordsOf } from "./words.js";
import tsv from "../../../../sqltext/words.tsv";

export const words = wordsOf(tsv);

const styles = { comment: "comment", hint: "meta", string: "string", quoted: "variableName.special", number: "number" };

export const flinkSQL = StreamLanguage.define({
  name: "flink-sql",
  startState: () => ({ ...start(), afterDot: false }),
  copyState: (state) => ({ ...state }),
  token(stream, state) {
    const kind = tokenOf(stream, state);
    if (kind === "space") return null;
    const afterDot = state.afterDot;
    const text = stream.current();
    state.afterDot = kind === "symbol" && text === ".";
    if (kind === "symbol") return /[()[\]{}]/.test(text) ? "bracket" : /[,;.]/.test(text) ? "punctuation" : "operator";
    if (kind !== "word") return styles[kind];
    if (afterDot) return "variableName";
    const style = styleOf(text, words, stream.match(/^\s*\(/, false) ? "(" : "");
    return style === "function" ? "variableName.function" : style;
  },
  languageData: { commentTokens: { line: "--", block: { open: "/*", close: "*/" } }, closeBrackets: { brackets: ["(", "[", "'", "`"] } },
});

// Classes of editor.css.
export const highlighter = tagHighlighter([
  { tag: tags.keyword, class: "tok-keyword" },
  { tag: [tags.string, tags.special(tags.string)], class: "tok-string" },
  { tag: [tags.number, tags.bool, tags.null], class: "tok-number" },
  { tag: tags.comment, class: "tok-comment" },
  { tag: [tags.typeName, tags.labelName], class: "tok-type" },
  { tag: tags.function(tags.variableName), class: "tok-function" },
  { tag: [tags.special(tags.variableName)], class: "tok-quoted" },
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], class: "tok-key" },
  { tag: tags.meta, class: "tok-meta" },
  { tag: [tags.operator, tags.punctuation], class: "tok-symbol" },
]);

export const highlighting = syntaxHighlighting(highlighter);

export function sql() {
  return new LanguageSupport(flinkSQL, [highlighting]);
}
