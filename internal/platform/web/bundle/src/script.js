// What a script says about its tables, read while somebody types: the text is seldom complete, so nothing here is an error.
import { lex, nameOf } from "./lex.js";

const is = (token, ...words) => token?.kind === "word" && words.includes(token.text.toUpperCase());
const symbol = (token, text) => token?.kind === "symbol" && token.text === text;

// statements splits the tokens of a script, without comments.
export function statements(text) {
  const out = [];
  let current = [];
  for (const token of lex(text)) {
    if (token.kind === "comment") continue;
    if (symbol(token, ";")) {
      out.push({ tokens: current, to: token.to });
      current = [];
    } else current.push(token);
  }
  out.push({ tokens: current, to: Infinity });
  return out;
}

// nameAt reads a.b.c at a token: its parts, and the index after it.
function nameAt(tokens, i) {
  const parts = [];
  for (;;) {
    const part = nameOf(tokens[i]);
    if (part === null) return { parts, next: i };
    parts.push(part);
    if (!symbol(tokens[i + 1], ".")) return { parts, next: i + 1 };
    i += 2;
  }
}

// closing is the index of the bracket that closes the one at i, or the number of tokens.
function closing(tokens, i) {
  let depth = 0;
  for (; i < tokens.length; i++) {
    if (symbol(tokens[i], "(")) depth++;
    if (symbol(tokens[i], ")") && --depth === 0) return i;
  }
  return tokens.length;
}

// split cuts tokens at the commas that are in no bracket.
function split(tokens) {
  const out = [[]];
  let depth = 0;
  for (const token of tokens) {
    if (token.kind === "symbol" && "(<[".includes(token.text)) depth++;
    if (token.kind === "symbol" && ")>]".includes(token.text)) depth--;
    if (depth === 0 && symbol(token, ",")) out.push([]);
    else out[out.length - 1].push(token);
  }
  return out.filter((item) => item.length > 0);
}

// columnOf reads one part of the brackets of CREATE TABLE, or null for a constraint or a watermark.
function columnOf(tokens, text) {
  const name = nameOf(tokens[0]);
  if (name === null) return null;
  if (tokens[0].kind === "word") {
    if (is(tokens[0], "WATERMARK", "CONSTRAINT", "UNIQUE", "LIKE") && tokens.length > 2) return null;
    if (is(tokens[0], "PRIMARY") && is(tokens[1], "KEY")) return null;
  }
  if (is(tokens[1], "AS")) return { name, type: "computed", kind: "computed" };
  let end = 1;
  let depth = 0;
  while (end < tokens.length) {
    const token = tokens[end];
    if (symbol(token, "(") || symbol(token, "<")) depth++;
    if (symbol(token, ")") || symbol(token, ">")) depth--;
    if (depth === 0 && is(token, "METADATA", "COMMENT", "PRIMARY", "NOT", "NULL", "CONSTRAINT")) break;
    end++;
  }
  const type = end > 1 ? text.slice(tokens[1].from, tokens[end - 1].to).replace(/\s+/g, " ") : "";
  if (is(tokens[end], "METADATA")) {
    return { name, type, kind: "metadata", virtual: tokens.slice(end).some((token) => is(token, "VIRTUAL")) };
  }
  return { name, type, kind: "physical" };
}

// key of a name without its case-insensitive parts: Flink's names have a case, so it is the name itself.
const key = (parts) => parts.join("\u0000");

let last = { text: "", tables: [] };

// tables are the tables and views that a script creates: {parts, kind, columns, from}. columns is null where they cannot be read. Those of the last
// text are kept: a page asks for them table by table.
export function tables(text) {
  if (last.text !== text) last = { text, tables: tablesOf(text) };
  return last.tables;
}

function tablesOf(text) {
  const out = [];
  const find = (parts) => out.findLast((table) => matches(table.parts, parts));
  for (const { tokens } of statements(text)) {
    let i = 0;
    if (!is(tokens[i], "CREATE")) continue;
    i++;
    if (is(tokens[i], "OR")) i += 2;
    while (is(tokens[i], "TEMPORARY", "SYSTEM", "MATERIALIZED")) i++;
    const kind = is(tokens[i], "TABLE") ? "table" : is(tokens[i], "VIEW") ? "view" : "";
    if (!kind) continue;
    i++;
    if (is(tokens[i], "IF")) i += 3;
    const { parts, next } = nameAt(tokens, i);
    if (parts.length === 0) continue;
    const table = { parts, kind, columns: null, from: tokens[i].from };
    i = next;
    if (symbol(tokens[i], "(")) {
      const end = closing(tokens, i);
      const items = split(tokens.slice(i + 1, end));
      table.columns = kind === "view"
        ? items.map((item) => ({ name: nameOf(item[0]), type: "", kind: "physical" })).filter((column) => column.name !== null)
        : items.map((item) => columnOf(item, text)).filter((column) => column !== null);
      i = end + 1;
    }
    for (; i < tokens.length; i++) {
      if (is(tokens[i], "LIKE")) {
        const like = find(nameAt(tokens, i + 1).parts);
        if (like?.columns) table.columns = [...like.columns, ...(table.columns ?? [])];
        break;
      }
      if (is(tokens[i], "AS")) {
        table.columns ??= columnsOfQuery(tokens.slice(i + 1), find);
        break;
      }
    }
    out.push(table);
  }
  return out;
}

// matches reports whether a name that was written means a table: its last parts.
function matches(of, written) {
  return written.length > 0 && written.length <= of.length ? key(of.slice(-written.length)) === key(written) : written.length > of.length && key(written.slice(-of.length)) === key(of);
}

const ends = ["FROM", "WHERE", "GROUP", "HAVING", "WINDOW", "UNION", "INTERSECT", "EXCEPT", "ORDER", "LIMIT"];

// columnsOfQuery reads the names of what a SELECT gives, or null.
function columnsOfQuery(tokens, find) {
  const ctes = commonTables(tokens, find);
  let i = 0;
  let depth = 0;
  for (; i < tokens.length; i++) { // after the brackets of a WITH
    if (symbol(tokens[i], "(")) depth++;
    if (symbol(tokens[i], ")")) depth--;
    if (depth === 0 && is(tokens[i], "SELECT")) break;
  }
  if (i >= tokens.length) return null;
  i++;
  if (tokens[i]?.kind === "hint") {
    do i++; while (i < tokens.length && tokens[i].kind !== "hint");
    i++;
  }
  if (is(tokens[i], "DISTINCT", "ALL")) i++;
  let end = i;
  for (depth = 0; end < tokens.length; end++) {
    if (symbol(tokens[end], "(")) depth++;
    if (symbol(tokens[end], ")")) depth--;
    if (depth === 0 && is(tokens[end], ...ends)) break;
  }
  const out = [];
  for (const item of split(tokens.slice(i, end))) {
    const last = item[item.length - 1];
    if (symbol(last, "*")) {
      const sources = relations(tokens.slice(end), find, ctes);
      const of = item.length > 1 ? nameOf(item[0]) : null;
      for (const source of sources) {
        if (of !== null && source.alias !== of) continue;
        if (!source.columns) return null;
        out.push(...source.columns);
      }
      continue;
    }
    const name = nameOf(last);
    out.push({ name: name ?? "EXPR$" + out.length, type: "", kind: "physical" });
  }
  return out;
}

// commonTables are the queries of a WITH by their names.
function commonTables(tokens, find) {
  const out = new Map();
  for (let i = 0; i < tokens.length; i++) {
    if (!(is(tokens[i + 1], "AS") && symbol(tokens[i + 2], "(")) || !(is(tokens[i - 1], "WITH") || symbol(tokens[i - 1], ","))) continue;
    const name = nameOf(tokens[i]);
    const end = closing(tokens, i + 2);
    if (name !== null) out.set(name, columnsOfQuery(tokens.slice(i + 3, end), find));
    i = end;
  }
  return out;
}

// words that follow a table and are not its alias
const noAlias = new Set(["ON", "USING", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "JOIN", "LEFT", "RIGHT", "FULL", "INNER", "CROSS", "NATURAL", "UNION", "INTERSECT", "EXCEPT",
  "FOR", "AS", "SELECT", "VALUES", "SET", "WITH", "MATCH_RECOGNIZE", "WINDOW", "END", "OFFSET", "FETCH", "TABLESAMPLE", "PARTITION", "OUTER", "LATERAL", "PIVOT"]);

// relations are the tables that a query names in FROM and JOIN: {alias, parts, columns}.
export function relations(tokens, find, ctes = new Map()) {
  const out = [];
  const lists = [false]; // by depth of brackets: in a FROM, where a comma begins the next table
  let depth = 0;
  for (let i = 0; i < tokens.length; i++) {
    if (symbol(tokens[i], "(")) lists[++depth] = false;
    if (symbol(tokens[i], ")") && depth > 0) depth--;
    const begins = is(tokens[i], "FROM", "JOIN", "INTO", "TABLE", "UPDATE");
    if (is(tokens[i], "WHERE", "GROUP", "SELECT", "HAVING", "ORDER")) lists[depth] = false;
    if (!begins && !(lists[depth] && symbol(tokens[i], ","))) continue;
    if (is(tokens[i], "FROM")) lists[depth] = true;
    const { parts, next } = nameAt(tokens, i + 1);
    if (parts.length === 0 || is(tokens[i + 1], "SELECT", "LATERAL", "UNNEST", "TABLE", "IF")) continue;
    let at = next;
    if (tokens[at]?.kind === "hint") {
      do at++; while (at < tokens.length && tokens[at].kind !== "hint");
      at++;
    }
    if (is(tokens[at], "FOR")) { // SYSTEM_TIME AS OF expression
      at += 4;
      at = nameAt(tokens, at).next;
      if (symbol(tokens[at], "(")) at = closing(tokens, at) + 1;
    }
    let alias = parts[parts.length - 1];
    if (is(tokens[at], "AS")) alias = nameOf(tokens[at + 1]) ?? alias;
    else if (tokens[at] && nameOf(tokens[at]) !== null && !(tokens[at].kind === "word" && noAlias.has(tokens[at].text.toUpperCase()))) alias = nameOf(tokens[at]);
    const columns = parts.length === 1 && ctes.has(parts[0]) ? ctes.get(parts[0]) : find(parts)?.columns ?? null;
    out.push({ alias, parts, columns });
  }
  return out;
}

// around is the statement at a place of a script: its tokens, the relations in it, and the tables of the script.
export function around(text, pos) {
  const all = tables(text);
  const find = (parts) => all.findLast((table) => matches(table.parts, parts));
  const statement = statements(text).find((s) => pos <= s.to - (s.to === Infinity ? 0 : 1)) ?? { tokens: [] };
  const ctes = commonTables(statement.tokens, find);
  return { tables: all, ctes, tokens: statement.tokens, relations: relations(statement.tokens, find, ctes) };
}

// tableOf is the table of a script that a name means, which is a.b.c or shorter.
export function tableOf(text, name) {
  const parts = name.split(".");
  return tables(text).findLast((t) => matches(t.parts, [name]) || matches(t.parts, parts));
}

// sinkColumns are the columns that rows of a table have when they are written: what is computed or virtual is not. null: unknown.
export function sinkColumns(text, name) {
  const table = tableOf(text, name);
  return table?.columns ? table.columns.filter((column) => column.kind === "physical" || (column.kind === "metadata" && !column.virtual)) : null;
}
