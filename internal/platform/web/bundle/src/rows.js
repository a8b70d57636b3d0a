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
