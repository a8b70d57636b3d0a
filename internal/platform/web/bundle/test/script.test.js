import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { around, sinkColumns, tableOf, tables } from "../src/script.js";

const clicks = readFileSync(new URL("../../../../../examples/clicks.sql", import.meta.url), "utf8");
const names = (columns) => columns?.map((column) => column.name).join(" ") ?? null;

test("tables of the example", () => {
  const got = Object.fromEntries(tables(clicks).map((table) => [table.parts.join("."), names(table.columns)]));
  assert.deepEqual(got, {
    clicks: "user_id page ts offset event_time proc_time",
    orders: "order_id user_id amount order_time",
    users: "id name country",
    clicks_per_page: "page country clicks users",
    revenue: "country orders amount",
    known_clicks: "page user_id event_time country",
  });
  assert.equal(tables(clicks)[1].columns[2].type, "DECIMAL(10, 2)");
});

test("forms of CREATE", () => {
  for (const [text, want] of [
    ["CREATE TABLE IF NOT EXISTS c.d.`t x` (a ARRAY<ROW<x INT, y STRING>> NOT NULL, PRIMARY KEY (a) NOT ENFORCED)", { name: "c.d.t x", columns: "a" }],
    ["CREATE OR REPLACE TEMPORARY VIEW v (x, y) AS SELECT 1, 2", { name: "v", columns: "x y" }],
    ["CREATE VIEW v AS SELECT a.b, COUNT(*) AS n, c + 1 FROM t", { name: "v", columns: "b n EXPR$2" }],
    ["CREATE VIEW v AS WITH q AS (SELECT 1 AS one) SELECT * FROM q", { name: "v", columns: "one" }],
    ["CREATE TABLE t WITH ('a' = 'b') AS SELECT x, y FROM s", { name: "t", columns: "x y" }],
    ["CREATE TABLE t", { name: "t", columns: null }],
    ["CREATE TABLE t (a INT, b", { name: "t", columns: "a b" }],
    ["CREATE TABLE t (watermark INT, `primary` INT, WATERMARK FOR a AS a)", { name: "t", columns: "watermark primary" }],
  ]) {
    const [table] = tables(text);
    assert.deepEqual({ name: table.parts.join("."), columns: names(table.columns) }, want, text);
  }
  assert.equal(names(tables("CREATE TABLE a (x INT); CREATE TABLE b (y INT) LIKE a;")[1].columns), "x y");
  assert.equal(names(tables("CREATE TABLE a (x INT, y INT); CREATE VIEW v AS SELECT * FROM a JOIN b ON 1 = 1")[1].columns), null);
  assert.deepEqual(tables("CREATE FUNCTION f AS 'x'; CREATE"), []);
});

test("what rows of a sink have", () => {
  const text = "CREATE TABLE s (a INT, b AS a + 1, t TIMESTAMP(3) METADATA FROM 'timestamp', o BIGINT METADATA VIRTUAL)";
  assert.equal(names(sinkColumns(text, "s")), "a t");
  assert.equal(names(sinkColumns(text, "default_catalog.default_database.s")), "a t");
  assert.equal(sinkColumns(text, "other"), null);
  assert.equal(names(sinkColumns("CREATE TABLE `a.b` (x INT)", "a.b")), "x");
});

test("a name is a whole one", () => {
  const text = "CREATE TABLE clicks (a INT); CREATE VIEW known_clicks AS SELECT 1 AS b;";
  assert.equal(names(tableOf(text, "clicks").columns), "a");
  assert.equal(tableOf(text, "licks"), undefined);
});

test("relations of the statement at a place", () => {
  const aliases = (text, pos = text.length) => around(text, pos).relations.map((r) => `${r.alias}=${r.parts.join(".")}`);
  assert.deepEqual(aliases("SELECT 1; SELECT  FROM a AS x LEFT JOIN b.c FOR SYSTEM_TIME AS OF x.t AS y ON 1 = 1, d", 20), ["x=a", "y=b.c", "d=d"]);
  assert.deepEqual(aliases("INSERT INTO s SELECT * FROM t /*+ OPTIONS('a' = 'b') */ z WHERE z.a = 1"), ["s=s", "z=t"]);
  assert.deepEqual(aliases("SELECT * FROM (SELECT * FROM inner_t i) o"), ["i=inner_t"]);
  assert.equal(around(clicks, clicks.lastIndexOf("GROUP BY")).relations.find((r) => r.alias === "k").columns.length, 4);
});
