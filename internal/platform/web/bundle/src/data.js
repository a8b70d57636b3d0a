// Data that somebody pastes for a source table: CSV with a head, or JSON: an array, or an object a line.

// read returns {type, columns, rows, count, body} or {fault}. body is what the server gets: CSV as it is, JSON as an object a line.
export function read(text) {
  const trimmed = text.replace(/^\uFEFF/, "").trim();
  if (trimmed === "") return { fault: "There is no data yet." };
  return trimmed.startsWith("{") || trimmed.startsWith("[") ? readJSON(trimmed) : readCSV(trimmed);
}

function readJSON(text) {
  const objects = [];
  if (text.startsWith("[")) {
    let list;
    try {
      list = JSON.parse(text);
    } catch (error) {
      return { fault: "This is not a JSON array: " + error.message };
    }
    objects.push(...list);
  } else {
    let number = 0;
    for (const line of text.split(/\r?\n/)) {
      number++;
      if (line.trim() === "") continue;
      try {
        objects.push(JSON.parse(line));
      } catch (error) {
        return { fault: `Line ${number} is not a JSON object (one object a line, or an array of objects): ${error.message}` };
      }
    }
  }
  const wrong = objects.findIndex((o) => o === null || typeof o !== "object" || Array.isArray(o));
  if (wrong >= 0) return { fault: `Value ${wrong + 1} is not an object such as {"id": 1}.` };
  if (objects.length === 0) return { fault: "The array is empty." };
  const columns = [...new Set(objects.flatMap((o) => Object.keys(o)))];
  const shown = (value) => (value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value));
  // Numbers are sent as they were written: JSON.parse would make another one of a large number.
  const body = text.startsWith("[") ? elements(text).join("\n") : text;
  return { type: "application/json", columns, rows: objects.map((o) => columns.map((c) => shown(o[c]))), count: objects.length, body: body + "\n" };
}

// elements are the texts of the elements of an array that JSON.parse has read, each on one line.
function elements(text) {
  const out = [];
  let depth = 0;
  let from = 1;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quoted) {
      if (c === "\\") i++;
      else if (c === '"') quoted = false;
    } else if (c === '"') quoted = true;
    else if (c === "{" || c === "[") depth++;
    else if (c === "}" || c === "]") {
      depth--;
      if (depth === 0) out.push(text.slice(from, i));
    } else if (c === "," && depth === 1) {
      out.push(text.slice(from, i));
      from = i + 1;
    }
  }
  return out.map((element) => element.trim().replace(/\s*\n\s*/g, " ")).filter((element) => element !== "");
}

function readCSV(text) {
  const records = [];
  let record = [];
  let i = 0;
  let line = 1;
  for (;;) {
    let cell = "";
    if (text[i] === '"') {
      const begun = line;
      i++;
      for (;;) {
        if (i >= text.length) return { fault: `The quotation mark in line ${begun} is never closed.` };
        if (text[i] === '"' && text[i + 1] === '"') {
          cell += '"';
          i += 2;
        } else if (text[i] === '"') {
          i++;
          break;
        } else {
          if (text[i] === "\n") line++;
          cell += text[i++];
        }
      }
    }
    while (i < text.length && text[i] !== "," && text[i] !== "\n" && text[i] !== "\r") cell += text[i++];
    record.push(cell);
    if (text[i] === ",") {
      i++;
      continue;
    }
    if (record.length > 1 || record[0] !== "") records.push({ cells: record, line });
    record = [];
    if (i >= text.length) break;
    if (text[i] === "\r" && text[i + 1] === "\n") i++;
    i++;
    line++;
  }
  const [head, ...rows] = records;
  const columns = head.cells.map((c) => c.trim());
  if (columns.some((c) => c === "")) return { fault: "The first line must have the names of the columns, separated by commas; one of them is empty." };
  const wrong = rows.find((r) => r.cells.length !== columns.length);
  if (wrong) return { fault: `Line ${wrong.line} has ${wrong.cells.length} values, the first line has ${columns.length} names.` };
  if (rows.length === 0) return { fault: "There is only the line with the names of the columns. Add a line for each row." };
  return { type: "text/csv", columns, rows: rows.map((r) => r.cells), count: rows.length, body: text + "\n" };
}
