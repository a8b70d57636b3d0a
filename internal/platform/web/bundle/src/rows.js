// Lines that are no rows of a sink or query: what SHOW and DESCRIBE say comes in a table that Flink draws, a line at a time.
export class Drawn {
  columns = null;

  // line returns {columns} for a head, {cells} for a row, {} for a border, or null for any other line.
  line(text) {
    if (/^\+(?:-+\+)+$/.test(text)) return {};
    if (!text.startsWith("| ") || !text.endsWith(" |")) {
      this.columns = null;
      return null;
    }
    const cells = text.slice(2, -2).split(" | ").map((cell) => cell.trim());
    if (!this.columns) {
      this.columns = cells;
      return { columns: cells };
    }
    return { cells: cells.length === this.columns.length ? cells : [text.slice(2, -2).trim()] };
  }
}
