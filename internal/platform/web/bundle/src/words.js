// The words of Flink's parser and its functions. internal/sqltext/words.tsv is written from Flink itself (oracle_test.go there).
export function wordsOf(tsv) {
  const out = { keywords: [], reserved: new Set(), functions: [] };
  for (const line of tsv.split("\n")) {
    const [name, kind] = line.split("\t");
    if (!kind || name.startsWith("#")) continue;
    if (kind === "function") out.functions.push(name);
    else out.keywords.push(name);
    if (kind === "reserved") out.reserved.add(name);
  }
  out.known = new Set(out.keywords);
  out.callable = new Set(out.functions);
  return out;
}

const types = new Set(["CHAR", "VARCHAR", "STRING", "BINARY", "VARBINARY", "BYTES", "DECIMAL", "DEC", "NUMERIC", "TINYINT", "SMALLINT", "INT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE", "PRECISION",
  "DATE", "TIME", "TIMESTAMP", "TIMESTAMP_LTZ", "INTERVAL", "ARRAY", "MULTISET", "MAP", "ROW", "BOOLEAN", "RAW", "VARIANT"]);

// styleOf is how a word is shown. Flink's parser has keywords such as NAME, TYPE and KEY that people use as names: unless they are reserved, they
// are shown as keywords where they are written in capitals.
export function styleOf(word, words, next) {
  const upper = word.toUpperCase();
  if (types.has(upper) && (next !== "(" || !words.callable.has(upper) || upper === "DECIMAL")) return "typeName";
  if (next === "(" && words.callable.has(upper)) return "function";
  if (words.reserved.has(upper) || (words.known.has(upper) && word === upper && word.length > 1)) return "keyword";
  return "variableName"; // also before a bracket: CREATE TABLE t (…) is more frequent than a function of a user
}
