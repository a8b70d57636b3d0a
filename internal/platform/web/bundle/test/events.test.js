import assert from "node:assert/strict";
import { test } from "node:test";
import { Events } from "../src/events.js";

const text = ': still here\n\nevent: row\ndata: {"a":1}\n\nevent: end\r\ndata: x\r\ndata: y\r\n\r\ndata: z\n\nevent: half\ndata:';

test("events come out whole, however the text is cut", () => {
  const want = [{ event: "row", data: '{"a":1}' }, { event: "end", data: "x\ny" }, { event: "message", data: "z" }];
  assert.deepEqual(new Events().push(text), want);
  const events = new Events();
  assert.deepEqual([...text].flatMap((c) => events.push(c)), want);
});
