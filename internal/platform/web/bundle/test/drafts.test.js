import assert from "node:assert/strict";
import { test } from "node:test";
import { Drafts } from "../src/drafts.js";

class Storage {
  constructor(room = Infinity) {
    Object.defineProperty(this, "room", { value: room });
  }
  getItem(name) {
    return Object.hasOwn(this, name) ? this[name] : null;
  }
  setItem(name, text) {
    if (text.length > this.room) throw new Error("full");
    this[name] = text;
  }
  removeItem(name) {
    delete this[name];
  }
}

const key = { job: "a", version: 2 };

test("a draft is of a user, a job and a version", () => {
  const storage = new Storage();
  const drafts = new Drafts(storage, "team/ada", () => 5);
  assert.equal(drafts.read(key), null);
  assert.ok(drafts.write(key, { text: "SELECT 1", data: {} }));
  assert.deepEqual(drafts.read(key), { text: "SELECT 1", data: {}, at: 5 });
  assert.equal(drafts.read({ ...key, version: 3 }), null);
  assert.equal(new Drafts(storage, "team/bob").read(key), null);
  drafts.remove(key);
  assert.equal(drafts.read(key), null);
});

test("without room for data the text is kept; without room at all it says so", () => {
  const drafts = new Drafts(new Storage(100), "u", () => 5);
  assert.ok(drafts.write(key, { text: "x", data: { t: "y".repeat(200) } }));
  assert.deepEqual(drafts.read(key).data, {});
  assert.equal(drafts.write(key, { text: "x".repeat(200), data: {} }), false);
  assert.equal(new Drafts(null, "u").write(key, { text: "" }), false);
  assert.equal(new Drafts(null, "u").read(key), null);
});

test("what was left for two months is removed", () => {
  const storage = new Storage();
  new Drafts(storage, "u", () => 0).write(key, { text: "old" });
  storage.other = "not ours";
  assert.equal(new Drafts(storage, "u", () => 61 * 24 * 3600 * 1000).read(key), null);
  assert.equal(storage.other, "not ours");
});
