// Rows as Flink prints them: "[1, abc, null]". Strings are not quoted there, so a row with a comma in a string can be read in two ways;
// then the number of columns decides, and what stays unclear is shown whole.

// cellsOf splits a row. n is the number of columns, or 0 where it is not known. null: it cannot be split for certain.
export function cellsOf(row, n = 0) {
  const inner = row.startsWith("[") && row.endsWith("]") ? row.slice(1, -1) : row;
  if (n === 1) return [inner];
  const nested = splitNested(inner);
  if (nested && (n === 0 || nested.length === n)) return nested;
  const plain = inner.split(", ");
  return n > 0 && plain.length === n ? plain : null;
}

const pairs = { "[": "]", "{": "}" };

// splitNested splits at the commas that are in no array, row or map, or returns null where brackets do not match: then they are in a string.
function splitNested(text) {
  const out = [];
  const open = [];
  let from = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (pairs[c]) open.push(pairs[c]);
    else if (c === "]" || c === "}") {
      if (open.pop() !== c) return null;
    } else if (open.length === 0 && c === "," && text[i + 1] === " ") {
      out.push(text.slice(from, i));
      from = i + 2;
    }
  }
  if (open.length > 0) return null;
  out.push(text.slice(from));
  return out;
}

// Query reads the table in which Flink shows the rows of a SELECT, a line at a time.
export class Query {
  columns = null;

  // line returns {columns} for a head, {kind, cells} for a row, {} for a border, or null for any other line.
  line(text) {
    if (/^\+(?:-+\+)+$/.test(text)) return {};
    if (!text.startsWith("| ") || !text.endsWith(" |")) return null;
    const cells = text.slice(2, -2).split(" | ").map((cell) => cell.trim());
    if (cells[0] === "op") {
      this.columns = cells.slice(1);
      return { columns: this.columns };
    }
    if (!this.columns) {
      this.columns = cells;
      this.batch = true;
      return { columns: cells };
    }
    if (this.batch) return { kind: "+I", cells: cells.length === this.columns.length ? cells : [text.slice(2, -2).trim()] };
    const [kind, ...rest] = cells;
    if (!["+I", "-U", "+U", "-D"].includes(kind)) return null;
    return { kind, cells: rest.length === this.columns.length ? rest : [text.slice(text.indexOf(" | ") + 3, -2).trim()] };
  }
}
