import assert from "node:assert/strict";
import { test } from "node:test";
import { scriptIn } from "../src/block.js";
import { place, sentences } from "../src/lineage.js";
import { plain } from "../src/plain.js";

test("the script of a definition keeps its places", () => {
  const text = "name: a\nx-platform:\n  script: no\nsql:\n  # why\n  set: {a: b}\n  script: |\n    SELECT 1\n\n    FROM t;\nparallelism: 1\n";
  const found = scriptIn(text);
  assert.equal(text.slice(found.from, found.to), "    SELECT 1\n\n    FROM t;\n");
  assert.equal(found.text.length, found.to);
  assert.equal(found.text.trim(), "SELECT 1\n\n    FROM t;");
  assert.equal(scriptIn("name: a\nsql: {script: SELECT 1}\n"), null);
  assert.equal(scriptIn("SELECT 1"), null);
});

test("lineage is placed from left to right, with a node for the query", () => {
  const lineage = {
    tables: [{ name: "c.d.s", short: "s", role: "source", connector: "kafka", line: 1 }, { name: "c.d.v", short: "v", role: "view", line: 2 }, { name: "c.d.u", short: "u", role: "unused", line: 3 }],
    edges: [{ from: "c.d.s", to: "c.d.v" }, { from: "c.d.v", statement: 1 }],
  };
  const { nodes, edges, width, height } = place(lineage);
  const x = Object.fromEntries(nodes.map((n) => [n.table.short, n.x]));
  assert.deepEqual(Object.keys(x).sort(), ["query", "s", "u", "v"]);
  assert.ok(x.s < x.v && x.v < x.query && edges.length === 2 && width > 300 && height >= 44);
  assert.ok(place(lineage, "TB").height > height);
  assert.deepEqual(sentences(lineage), ["s feeds v", "v feeds the query whose rows are shown"]);
  assert.deepEqual(place({}).nodes, []);
});

test("control characters are shown", () => {
  assert.equal(plain("a\u0000b\u001b[31m\n\u202ec\u200b<b>"), "a␀b␛[31m␊\ufffdc\ufffd<b>");
});
