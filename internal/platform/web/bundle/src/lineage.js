// What feeds what, as a drawing. The layout is dagre's.
import * as dagre from "@dagrejs/dagre";
import { plain } from "./plain.js";

const svg = "http://www.w3.org/2000/svg";
const height = 44;
const most = 26; // characters of a name that are shown
const mostTables = 300; // that are drawn: with more, the layout takes seconds and the drawing cannot be read
const wide = 7.3; // of a character at 12 px

// The query whose rows are shown has no name.
const result = "\u0000result";

const roles = { source: "source", sink: "sink", both: "read and written", lookup: "lookup", unused: "not used", view: "view", result: "rows are shown" };

function cut(text) {
  return text.length > most ? text.slice(0, most - 1) + "…" : text;
}

// place computes where each node and edge is: {width, height, nodes: [{table, x, y, width}], edges: [{from, to, points}]}.
export function place(lineage, direction = "LR") {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: direction, nodesep: 18, ranksep: direction === "LR" ? 56 : 36, marginx: 8, marginy: 8 });
  graph.setDefaultEdgeLabel(() => ({}));
  const tables = new Map();
  const add = (id, table) => {
    if (tables.has(id)) return;
    tables.set(id, table);
    const label = Math.max(cut(table.short).length, detailOf(table).length * 0.9);
    graph.setNode(id, { width: Math.round(Math.max(96, label * wide + 28)), height });
  };
  for (const table of lineage.tables ?? []) add(table.name, table);
  for (const edge of lineage.edges ?? []) {
    const to = edge.to || result;
    if (!edge.to) add(result, { name: "", short: "query", role: "result" });
    for (const name of [edge.from, to]) add(name, { name, short: name.split(".").pop(), role: "unused" });
    graph.setEdge(edge.from, to);
  }
  dagre.layout(graph);
  const size = graph.graph();
  return {
    width: Math.ceil(size.width || 0),
    height: Math.ceil(size.height || 0),
    nodes: graph.nodes().map((id) => ({ id, table: tables.get(id), ...graph.node(id) })),
    edges: graph.edges().map((e) => ({ from: e.v, to: e.w, points: graph.edge(e).points })),
  };
}

function detailOf(table) {
  const role = roles[table.role] ?? table.role;
  return plain(table.connector ? `${role} · ${table.connector}` : role);
}

function element(name, attributes, ...children) {
  const out = document.createElementNS(svg, name);
  for (const [key, value] of Object.entries(attributes)) out.setAttribute(key, value);
  out.append(...children);
  return out;
}

// curve goes through the points of an edge.
function curve(points) {
  let d = `M${points[0].x},${points[0].y}`;
  for (let i = 1; i < points.length - 1; i++) {
    const next = points[i + 1];
    const end = i === points.length - 2 ? next : { x: (points[i].x + next.x) / 2, y: (points[i].y + next.y) / 2 };
    d += `Q${points[i].x},${points[i].y} ${end.x},${end.y}`;
  }
  if (points.length === 2) d += `L${points[1].x},${points[1].y}`;
  return d;
}

// sentences say the same as the drawing.
export function sentences(lineage) {
  const short = new Map((lineage.tables ?? []).map((table) => [table.name, plain(table.short)]));
  return (lineage.edges ?? []).map((edge) => `${short.get(edge.from) ?? plain(edge.from)} feeds ${edge.to ? short.get(edge.to) ?? plain(edge.to) : "the query whose rows are shown"}`);
}

let drawings = 0;

// draw draws into an element, in place of an earlier drawing there.
export function draw(into, lineage, { onPick, direction } = {}) {
  const number = ++drawings;
  let svgElement = null;
  let note = null;
  const update = (data) => {
    const focused = svgElement?.contains(document.activeElement) ? document.activeElement.dataset.table : null;
    svgElement?.remove();
    svgElement = null;
    note?.remove();
    const n = (data.tables ?? []).length;
    if (n === 0) return;
    if (n > mostTables) {
      note = Object.assign(document.createElement("p"), { className: "small muted", textContent: `${n} tables and views: more than ${mostTables} are not drawn.` });
      into.append(note);
      return;
    }
    const to = direction ?? (into.clientWidth > 0 && into.clientWidth < 480 ? "TB" : "LR");
    const placed = place(data, to);
    const arrow = `lineage-arrow-${number}`;
    svgElement = element("svg", { class: "lineage", viewBox: `0 0 ${placed.width} ${placed.height}`, width: placed.width, height: placed.height, role: onPick ? "group" : "img", "aria-label": "What feeds what: " + (sentences(data).join("; ") || "nothing yet") },
      element("defs", {}, element("marker", { id: arrow, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto-start-reverse" }, element("path", { d: "M0,0L8,4L0,8z", class: "lineage-arrow" }))));
    for (const edge of placed.edges) svgElement.append(element("path", { d: curve(edge.points), class: "lineage-edge", "marker-end": `url(#${arrow})` }));
    for (const { id, table, x, y, width } of placed.nodes) {
      const node = element("g", { class: `lineage-node lineage-${table.role}`, transform: `translate(${Math.round(x - width / 2)},${Math.round(y - height / 2)})` },
        element("title", {}, plain(id === result ? "the query whose rows are shown" : `${table.name}: ${detailOf(table)}${table.place ? `, line ${table.place.line}` : ""}`)),
        element("rect", { width, height, rx: 6 }),
        element("path", { d: `M0,6a6,6 0 0 1 6,-6h0v${height}h0a6,6 0 0 1 -6,-6z`, class: "lineage-side" }),
        element("text", { x: 14, y: 19, class: "lineage-name" }, cut(plain(table.short)) + " "),
        element("text", { x: 14, y: 34, class: "lineage-detail" }, detailOf(table)));
      if (onPick && id !== result && table.place) {
        node.dataset.table = table.name;
        for (const [key, value] of Object.entries({ role: "button", tabindex: "0", "aria-label": `${cut(plain(table.short))} ${detailOf(table)}, show line ${table.place.line}` })) node.setAttribute(key, value);
        node.addEventListener("click", () => onPick(table));
        node.addEventListener("keydown", (event) => {
          if (event.key !== "Enter" && event.key !== " ") return;
          event.preventDefault();
          onPick(table);
        });
      }
      svgElement.append(node);
    }
    into.append(svgElement);
    if (focused) [...svgElement.querySelectorAll("[data-table]")].find((n) => n.dataset.table === focused)?.focus();
  };
  update(lineage);
  return {
    update,
    destroy() {
      svgElement?.remove();
      note?.remove();
      svgElement = note = null;
    },
  };
}
