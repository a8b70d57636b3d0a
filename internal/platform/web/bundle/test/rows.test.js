import assert from "node:assert/strict";
import { test } from "node:test";
import { Drawn } from "../src/rows.js";

test("a table that Flink draws, and the next one", () => {
  const drawn = new Drawn();
  assert.deepEqual(drawn.line("+-------------+------+"), {});
  assert.deepEqual(drawn.line("|        name | type |"), { columns: ["name", "type"] });
  assert.deepEqual(drawn.line("+-------------+------+"), {});
  assert.deepEqual(drawn.line("|          id |  INT |"), { cells: ["id", "INT"] });
  assert.deepEqual(drawn.line("| a | b | INT |"), { cells: ["a | b | INT"] });
  assert.equal(drawn.line("2 rows in set"), null);
  assert.deepEqual(drawn.line("| table name |"), { columns: ["table name"] });
});
