// Data for the source tables of a script: generated, or pasted.
import { read } from "./data.js";
import { count, h } from "./dom.js";
import { plain } from "./plain.js";
import { tableOf } from "./script.js";

const shown = 5; // rows of a preview

export class Sources {
  // data is what was pasted, by table; changed is called when it changes.
  constructor({ into, none, data, script, changed }) {
    Object.assign(this, { into, none, data, script, changed });
    this.rows = new Map(); // elements by table
    this.update({ tables: [] });
  }

  any() {
    return Object.keys(this.data).length > 0;
  }

  // parts are the tables whose data is to be sent.
  parts() {
    return [...this.rows.keys()].flatMap((table) => {
      const found = this.data[table] ? read(this.data[table]) : {};
      return found.body ? [{ table, type: found.type, body: found.body }] : [];
    });
  }

  update(lineage) {
    const sources = (lineage.tables ?? []).filter((table) => ["source", "both", "lookup"].includes(table.role));
    const names = new Set(sources.map((table) => table.short));
    for (const [name, row] of this.rows) {
      if (names.has(name)) continue;
      row.box.remove();
      this.rows.delete(name);
    }
    for (const table of sources) {
      const row = this.rows.get(table.short) ?? this.row(table.short);
      row.about.textContent = plain([table.connector, table.role === "lookup" ? "lookup" : ""].filter(Boolean).join(", "));
      this.into.append(row.box); // in the order of the script
    }
    this.none.hidden = sources.length > 0;
  }

  row(name) {
    const id = "wb-paste-" + (this.made = (this.made ?? 0) + 1);
    const state = h("span", { class: "small muted" });
    const about = h("span", { class: "small muted" });
    const area = h("textarea", { class: "code", id, rows: "6", spellcheck: "false", "aria-describedby": id + "-help", value: this.data[name] ?? "" });
    const preview = h("div", { class: "wb-preview", role: "status" });
    const help = h("p", { class: "help", id: id + "-help" });
    const remove = h("button", { class: "button quiet", type: "button", text: "Remove the data", onclick: () => {
      area.value = "";
      input();
      area.focus();
    } });
    const box = h("details", { class: "wb-source" }, h("summary", {}, h("span", { class: "mono", text: plain(name) }), about, state),
      h("div", { class: "field" }, h("label", { for: id, text: `Rows of ${plain(name)}, as CSV or JSON` }), area, help), preview, remove);
    const input = () => {
      if (area.value.trim() === "") delete this.data[name];
      else this.data[name] = area.value;
      show();
      this.changed();
    };
    const show = () => {
      const text = this.data[name];
      remove.hidden = !text;
      const found = text ? read(text) : null;
      box.classList.toggle("wb-source-bad", Boolean(found?.fault));
      state.textContent = !found ? "generated" : found.fault ? "cannot be read: generated" : `${count(found.count, "row")} pasted`;
      const columns = this.columns(name);
      help.textContent = "CSV with the names of the columns in its first line, or a JSON object a line." + (columns ? " Columns: " + columns.map(plain).join(", ") : "");
      preview.replaceChildren();
      if (found?.fault) preview.append(h("p", { class: "note note-bad small", text: plain(found.fault) }));
      else if (found) {
        const unknown = columns ? found.columns.filter((column) => !columns.includes(column)) : [];
        if (unknown.length > 0) preview.append(h("p", { class: "note note-warn small", text: `The table has no column ${unknown.map(plain).join(", ")}.` }));
        preview.append(h("div", { class: "table-wrap" }, h("table", {}, h("thead", {}, h("tr", {}, ...found.columns.map((column) => h("th", { scope: "col", text: plain(column) })))),
          h("tbody", {}, ...found.rows.slice(0, shown).map((cells) => h("tr", {}, ...cells.map((cell) => h("td", { class: "mono", text: plain(cell) }))))))),
          found.count > shown ? h("p", { class: "small muted", text: `and ${count(found.count - shown, "more row", "more rows")}` }) : "");
      }
    };
    area.addEventListener("input", input);
    box.addEventListener("toggle", show);
    show();
    const row = { box, about };
    this.rows.set(name, row);
    return row;
  }

  // columns are those that a table reads, or null where the script does not say.
  columns(name) {
    return tableOf(this.script(), name)?.columns?.filter((column) => column.kind !== "computed").map((column) => column.name) ?? null;
  }
}
