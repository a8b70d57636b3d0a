// A definition is YAML with a SQL script in it, at sql.script.
import { yaml, yamlLanguage } from "@codemirror/lang-yaml";
import { LanguageSupport } from "@codemirror/language";
import { parseMixed } from "@lezer/common";
import { flinkSQL, highlighting } from "./flinksql.js";

// keyOf is the key of the pair whose value a node is in.
function keyOf(node, input) {
  for (let at = node; at; at = at.parent) {
    if (at.name !== "Pair") continue;
    const key = at.getChild("Key");
    return key ? input.read(key.from, key.to).replace(/^["']|["']$/g, "") : "";
  }
  return "";
}

const mixed = yamlLanguage.configure({
  wrap: parseMixed((node, input) => (node.name === "BlockLiteralContent" && ["script", "createStatement"].includes(keyOf(node.node, input)) ? { parser: flinkSQL.parser } : null)),
});

export function definition() {
  return new LanguageSupport(mixed, [yaml().support, highlighting]);
}
