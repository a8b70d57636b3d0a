import assert from "node:assert/strict";
import { test } from "node:test";
import { read } from "../src/data.js";

test("CSV", () => {
  const got = read('id,name\r\n1,"a, ""b""\nc"\n2,\n');
  assert.deepEqual({ type: got.type, columns: got.columns, rows: got.rows, count: got.count }, { type: "text/csv", columns: ["id", "name"], rows: [["1", 'a, "b"\nc'], ["2", ""]], count: 2 });
  assert.match(read('id\n"a').fault, /line 2 is never closed/);
  assert.match(read("id,name\n1").fault, /Line 2 has 1 values, the first line has 2 names/);
  assert.match(read("id,\n1,2").fault, /one of them is empty/);
  assert.match(read("id").fault, /only the line with the names/);
});

test("JSON, an object a line", () => {
  const got = read('{"id": 12345678901234567890, "a": {"b": [1]}}\n\n{"id": 2}\n');
  assert.deepEqual([got.type, got.columns, got.count], ["application/json", ["id", "a"], 2]);
  assert.deepEqual(got.rows[1], ["2", ""]);
  assert.match(got.body, /12345678901234567890/);
  assert.match(read('{"a":1}\n{"a":').fault, /^Line 2 is not a JSON object/);
  assert.match(read('[1]').fault, /Value 1 is not an object/);
  assert.match(read("[]").fault, /empty/);
});

test("a JSON array becomes an object a line, with its numbers as they are", () => {
  assert.equal(read('[ {"id": 12345678901234567890,\n "t": "a]},[{"},\n{"id": 1, "n": [1, {"x": 2}]} ]').body, '{"id": 12345678901234567890, "t": "a]},[{"}\n{"id": 1, "n": [1, {"x": 2}]}\n');
});

test("nothing yet", () => assert.match(read(" \n").fault, /no data yet/));
