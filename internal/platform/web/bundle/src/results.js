// Rows of a debug run, a table for each sink, as they come.
import { h } from "./dom.js";
import { plain } from "./plain.js";
import { Drawn } from "./rows.js";
import { sinkColumns } from "./script.js";

const kinds = { "+I": "insert", "-U": "update, before", "+U": "update, after", "-D": "delete" };

export class Results {
  constructor({ tables, warnings, none, script }) {
    Object.assign(this, { into: tables, warnings, none, script });
    this.clear();
  }

  clear() {
    this.into.replaceChildren();
    this.warnings.replaceChildren();
    this.none.hidden = false;
    this.tables = new Map();
    this.drawn = new Drawn();
    this.pending = [];
  }

  begin(sinks, warnings) {
    this.text = this.script();
    this.none.hidden = true;
    for (const warning of warnings) this.warn(warning);
    for (const sink of sinks) this.table(sink, sink, sinkColumns(this.text, sink)?.map((column) => column.name) ?? null);
  }

  table(key, title, columns) {
    const body = h("tbody");
    const head = h("thead");
    const counted = h("span", { class: "wb-count small muted", text: "no rows yet" });
    const name = plain(title);
    const scroll = h("div", { class: "table-wrap wb-scroll", tabindex: "0", role: "region", "aria-label": `Rows of ${name}` }, h("table", {}, head, body));
    const box = h("section", { class: "wb-table", "aria-label": name }, h("h3", { class: "mono" }, name, " ", counted), scroll);
    this.into.append(box);
    const table = { body, head, counted, scroll, box, columns, rows: 0 };
    if (columns) this.head(table, columns);
    this.tables.set(key, table);
    return table;
  }

  head(table, columns) {
    table.columns = columns;
    table.head.replaceChildren(h("tr", {}, h("th", { scope: "col", class: "wb-kind" }, h("span", { class: "visually-hidden", text: "change" })), ...columns.map((column) => h("th", { scope: "col", text: plain(column) }))));
  }

  columns({ table: name, columns }) {
    if (name === "") { // a query begins
      this.rowless(this.tables.get(name));
      this.head(this.table(name, "query", null), columns);
    } else this.head(this.tables.get(name) ?? this.table(name, name, null), columns);
  }

  // row shows a row of a sink or of a query. Without cells it is no row of the sink's: code of the script has printed what looks like one.
  row({ table: name, kind, row, cells }) {
    this.add(this.tables.get(name) ?? this.table(name, name, null), kind, cells ?? [row], !cells);
  }

  line(text) {
    this.none.hidden = true;
    const key = "\u0000output";
    const read = this.drawn.line(text);
    if (read?.columns) this.table(key, "output", read.columns);
    else if (read?.cells) this.add(this.tables.get(key), "", read.cells, read.cells.length !== this.drawn.columns.length);
    else if (!read && text.trim() !== "") this.other(text);
  }

  // other is output that is in no table.
  other(text) {
    let output = this.into.querySelector(".wb-output");
    if (!output) {
      output = h("pre", { class: "log wb-output", tabindex: "0", role: "region", "aria-label": "Other output" });
      this.into.append(output);
    }
    output.append(plain(text) + "\n");
  }

  add(table, kind, cells, whole) {
    table.rows++;
    this.pending.push([table, h("tr", { "data-kind": kind }, h("td", { class: "wb-kind" }, h("span", { class: "wb-change mono", title: kinds[kind] ?? false, text: kind })),
      ...cells.map((cell) => h("td", { class: cell === null ? "mono wb-null" : "mono", colspan: whole ? String(Math.max(table.columns?.length ?? 1, 1)) : false, text: cell === null ? "NULL" : plain(cell) })))]);
    if (this.pending.length === 1) this.frame = requestAnimationFrame(() => this.flush());
  }

  // flush shows what has come since the last frame.
  flush() {
    cancelAnimationFrame(this.frame);
    const changed = new Set();
    for (const [table, row] of this.pending) {
      if (!changed.has(table)) table.follows = table.scroll.scrollTop + table.scroll.clientHeight >= table.scroll.scrollHeight - 4;
      changed.add(table);
      table.body.append(row);
    }
    this.pending = [];
    for (const table of changed) {
      table.counted.textContent = `${table.rows.toLocaleString("en")} ${table.rows === 1 ? "row" : "rows"}`;
      if (table.follows) table.scroll.scrollTop = table.scroll.scrollHeight;
    }
  }

  warn(text) {
    this.warnings.append(h("p", { class: "note note-warn small", text: plain(text.charAt(0).toUpperCase() + text.slice(1)) }));
  }

  end() {
    this.flush();
    for (const table of this.tables.values()) this.rowless(table);
  }

  // rowless says of a table that will get no rows any more that it has none.
  rowless(table) {
    if (table?.rows === 0) table.counted.textContent = "no rows";
  }
}
