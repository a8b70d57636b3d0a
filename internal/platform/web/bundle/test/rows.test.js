import assert from "node:assert/strict";
import { test } from "node:test";
import { Query } from "../src/rows.js";

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
