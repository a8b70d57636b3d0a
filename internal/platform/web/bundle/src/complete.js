// What can be written at a place of a script: pure, so that it is tested without an editor.
import { lex, nameOf, quote } from "./lex.js";
import { around } from "./script.js";

const beforeTable = new Set(["FROM", "JOIN", "INTO", "TABLE", "VIEW", "UPDATE", "DESCRIBE", "DESC", "LIKE"]);
const hints = ["OPTIONS", "LOOKUP", "STATE_TTL", "BROADCAST", "SHUFFLE_HASH", "SHUFFLE_MERGE", "NEST_LOOP", "MULTI_JOIN"];

// words: {keywords: [{name, reserved}], functions: [name]}
export function completions(text, pos, { catalogs = [], words }) {
  const tokens = lex(text);
  let at = tokens.findIndex((token) => token.from < pos && pos <= token.to);
  let from = pos;
  if (at >= 0) {
    const token = tokens[at];
    const ended = pos === token.to && !token.open;
    if (token.kind === "comment" && !(ended && token.text.startsWith("/*"))) return null;
    if (token.kind === "string" && !(ended && token.text.endsWith("'") && token.text.length > 1)) return null;
    if (token.kind === "number") return null;
    if (token.kind === "word" || (token.kind === "quoted" && (pos < token.to || token.open))) from = token.from;
    else at++;
  } else at = tokens.findIndex((token) => token.from >= pos);
  if (at < 0) at = tokens.length;
  const before = tokens.slice(0, at).filter((token) => token.kind !== "comment");
  const last = before[before.length - 1];
  const inHint = before.filter((token) => token.kind === "hint").length % 2 === 1;
  if (inHint) return { from, options: hints.map((label) => ({ label, type: "keyword", detail: "hint" })) };

  // What is being typed is not part of the statement, else it would be an alias of the table before it.
  const here = around(text.slice(0, from) + " ".repeat(pos - from) + text.slice(pos), from);
  const reserved = (name) => words.reserved.has(name.toUpperCase());
  const option = (label, more) => ({ label, apply: quote(label, reserved), ...more });

  if (last?.kind === "symbol" && last.text === ".") {
    const parts = [];
    for (let i = before.length - 2; i >= 0; i -= 2) {
      const part = nameOf(before[i]);
      if (part === null) break;
      parts.unshift(part);
      if (!(before[i - 1]?.kind === "symbol" && before[i - 1].text === ".")) break;
    }
    return { from, options: qualified(parts, here, option) };
  }
  const tableOptions = [
    ...here.tables.map((table) => option(table.parts[table.parts.length - 1], { type: "class", detail: table.kind, boost: 2 })),
    ...[...here.ctes.keys()].map((name) => option(name, { type: "class", detail: "query of WITH", boost: 3 })),
    ...catalogs.map((name) => option(name, { type: "namespace", detail: "catalog" })),
  ];
  if (last?.kind === "word" && beforeTable.has(last.text.toUpperCase())) return { from, options: unique(tableOptions) };
  const columnOptions = here.relations.flatMap((relation) => (relation.columns ?? []).map((column) => option(column.name, { type: "property", detail: column.type || relation.alias, boost: 3 })));
  const aliases = here.relations.filter((relation) => relation.alias !== relation.parts[relation.parts.length - 1]).map((relation) => option(relation.alias, { type: "variable", detail: relation.parts.join("."), boost: 2 }));
  return {
    from,
    options: unique([
      ...columnOptions,
      ...aliases,
      ...tableOptions.map((o) => ({ ...o, boost: 0 })),
      ...words.keywords.map((label) => ({ label, type: "keyword", boost: words.reserved.has(label) ? 1 : -1 })),
      ...words.functions.map((label) => ({ label, type: "function", boost: -1 })),
    ]),
  };
}

// qualified is what can follow a.b. : columns of an alias or table, or the next part of the name of a table.
function qualified(parts, here, option) {
  const columns = (of) => (of ?? []).map((column) => option(column.name, { type: "property", detail: column.type }));
  if (parts.length === 1) {
    const relation = here.relations.find((r) => r.alias === parts[0]);
    if (relation?.columns) return columns(relation.columns);
  }
  const options = [];
  for (const table of here.tables) {
    const i = table.parts.findIndex((_, n) => parts.every((part, k) => table.parts[n + k] === part));
    if (i < 0) continue;
    const next = table.parts[i + parts.length];
    if (next !== undefined) options.push(option(next, { type: i + parts.length === table.parts.length - 1 ? "class" : "namespace" }));
    else options.push(...columns(table.columns));
  }
  return unique(options);
}

function unique(options) {
  const seen = new Set();
  return options.filter(({ label, type }) => !seen.has(type + label) && seen.add(type + label));
}
