import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { lex, nameOf, quote } from "../src/lex.js";
import { styleOf, wordsOf } from "../src/words.js";

const kinds = (text) => lex(text).map((token) => `${token.kind}:${token.text}`);

test("tokens are those of Flink's lexer", () => {
  for (const [text, want] of [
    ["SELECT 'it''s', `a``b` -- c", ["word:SELECT", "string:'it''s'", "symbol:,", "quoted:`a``b`", "comment:-- c"]],
    ["a//b\n.5e3", ["word:a", "comment://b", "number:.5e3"]],
    ['"a"', ['symbol:"', "word:a", 'symbol:"']],
    ["'a\nb' /* c\nd */ e", ["string:'a\nb'", "comment:/* c\nd */", "word:e"]],
    ["/*+ OPTIONS('a' = 'b') */ t", ["hint:/*+", "word:OPTIONS", "symbol:(", "string:'a'", "symbol:=", "string:'b'", "symbol:)", "hint:*/", "word:t"]],
    ["E'a\\'b' U&'x' X'00' N'y'", ["string:E'a\\'b'", "string:U&'x'", "string:X'00'", "string:N'y'"]],
    ["größe$1", ["word:größe$1"]],
    ["`a\nb", ["quoted:`a\nb"]],
  ]) assert.deepEqual(kinds(text), want, text);
});

test("offsets cut the text", () => {
  const text = "SELECT `a`, -- b\n  'c\nd' FROM /* e\n*/ f";
  for (const token of lex(text)) assert.equal(text.slice(token.from, token.to), token.text);
});

test("names are quoted where they must be", () => {
  const reserved = (name) => name.toUpperCase() === "ORDER";
  for (const [name, want] of [["a_1", "a_1"], ["order", "`order`"], ["a b", "`a b`"], ["a`b", "`a``b`"], ["1a", "`1a`"]]) assert.equal(quote(name, reserved), want);
  assert.equal(nameOf(lex("`a``b`")[0]), "a`b");
  assert.equal(nameOf(lex("'a'")[0]), null);
});

test("words are shown by what Flink's parser knows", () => {
  const words = wordsOf(readFileSync(new URL("../../../../sqltext/words.tsv", import.meta.url), "utf8"));
  assert.ok(words.keywords.length > 500 && words.functions.length > 150, `${words.keywords.length} keywords, ${words.functions.length} functions`);
  for (const [word, next, want] of [["select", "", "keyword"], ["BIGINT", "", "typeName"], ["name", "", "variableName"], ["METADATA", "", "keyword"], ["metadata", "", "variableName"],
    ["COUNT", "(", "function"], ["clicks", "(", "variableName"], ["DECIMAL", "(", "typeName"]]) assert.equal(styleOf(word, words, next), want, word);
});

test("a long text without an end takes no longer than its length", () => {
  const began = performance.now();
  lex("'" + "a''b\n".repeat(50_000));
  lex("SELECT a, b\n".repeat(50_000));
  assert.ok(performance.now() - began < 5000);
});
