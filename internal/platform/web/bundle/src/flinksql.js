// Flink SQL as a language of CodeMirror.
import { LanguageSupport, StreamLanguage, syntaxHighlighting } from "@codemirror/language";
import { classHighlighter } from "@lezer/highlight";
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
    return styleOf(text, words, stream.match(/^\s*\(/, false) ? "(" : "");
  },
  languageData: { commentTokens: { line: "--", block: { open: "/*", close: "*/" } }, closeBrackets: { brackets: ["(", "[", "'", "`"] } },
});

export const highlighting = syntaxHighlighting(classHighlighter);

export function sql() {
  return new LanguageSupport(flinkSQL, [highlighting]);
}
