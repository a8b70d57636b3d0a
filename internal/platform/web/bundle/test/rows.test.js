import assert from "node:assert/strict";
import { test } from "node:test";
import { Query, cellsOf } from "../src/rows.js";

test("cells of a row as Flink prints it", () => {
  for (const [row, n, want] of [
    ["[1, abc, null]", 3, ["1", "abc", "null"]],
    ["[1, abc, null]", 0, ["1", "abc", "null"]],
    ["[a, b, 1]", 2, null], // a comma in a string: which one is unclear
    ["[a, b]", 1, ["a, b"]],
    ["[[1, 2], {a=1, b=2}, +I[3, x]]", 3, ["[1, 2]", "{a=1, b=2}", "+I[3, x]"]],
    ["[a[b, c]d]", 2, ["a[b", "c]d"]], // brackets in strings
    ["[a]b, c]", 2, ["a]b", "c"]],
    ["[, ]", 2, ["", ""]],
    ["[]", 1, [""]],
    ["[<b>x</b>, \u0000]", 2, ["<b>x</b>", "\u0000"]],
  ]) assert.deepEqual(cellsOf(row, n), want, `${row} of ${n}`);
});

test("a query's table, streaming", () => {
  const query = new Query();
  assert.deepEqual(query.line("+----+-------------+------+"), {});
  assert.deepEqual(query.line("| op |          id | name |"), { columns: ["id", "name"] });
  assert.deepEqual(query.line("| +I |           1 | a  |"), { kind: "+I", cells: ["1", "a"] });
  assert.deepEqual(query.line("| -U |           1 | a | b |"), { kind: "-U", cells: ["1 | a | b"] });
  assert.equal(query.line("Received a total of 2 rows"), null);
});

test("a query's table, batch", () => {
  const query = new Query();
  assert.deepEqual(query.line("| id | name |"), { columns: ["id", "name"] });
  assert.deepEqual(query.line("|  1 |    a |"), { kind: "+I", cells: ["1", "a"] });
});
