import assert from "node:assert/strict";
import { test } from "node:test";
import { completions } from "../src/complete.js";
import { wordsOf } from "../src/words.js";

const words = wordsOf("SELECT\treserved\nORDER\treserved\nFROM\treserved\nKEY\tkeyword\nCOUNT\tfunction\n");
const tables = "CREATE TABLE clicks (user_id BIGINT, `order` STRING) WITH (); CREATE VIEW cat.db.v AS SELECT 1 AS one;\n";

// at has | where the cursor is.
function labels(at, catalogs = []) {
  const text = tables + at;
  const pos = text.indexOf("|");
  const found = completions(text.replace("|", ""), pos, { catalogs, words });
  return found && found.options.map((o) => o.apply ?? o.label);
}

test("tables after FROM, with the chosen catalogs", () => {
  assert.deepEqual(labels("SELECT * FROM |", ["ods"]), ["clicks", "v", "ods"]);
  assert.deepEqual(labels("INSERT INTO cl|"), ["clicks", "v"]);
  assert.deepEqual(labels("SELECT * FROM clicks JOIN |"), ["clicks", "v"]);
  assert.ok(labels("WITH q AS (SELECT 1 AS x) SELECT * FROM |").includes("q"));
});

test("columns of the statement's tables, reserved names in backquotes", () => {
  const got = labels("SELECT | FROM clicks c");
  assert.deepEqual(got.slice(0, 3), ["user_id", "`order`", "c"]);
  assert.ok(got.includes("SELECT") && got.includes("COUNT") && got.includes("KEY"));
});

test("columns after an alias", () => {
  assert.deepEqual(labels("SELECT c.| FROM clicks AS c"), ["user_id", "`order`"]);
  assert.deepEqual(labels("SELECT c.us| FROM clicks AS c"), ["user_id", "`order`"]);
  assert.deepEqual(labels("SELECT nothing.| FROM clicks AS c"), []);
});

test("parts of a long name", () => {
  assert.deepEqual(labels("SELECT * FROM cat.|"), ["db"]);
  assert.deepEqual(labels("SELECT * FROM cat.db.|"), ["v"]);
});

test("nothing in strings, comments and numbers; hints in hints", () => {
  for (const at of ["SELECT 'a|'", "SELECT 'a|", "-- a|", "/* a| */", "SELECT 12|"]) assert.equal(labels(at), null, at);
  assert.ok(labels("SELECT * FROM clicks /*+ O|").includes("OPTIONS"));
});
