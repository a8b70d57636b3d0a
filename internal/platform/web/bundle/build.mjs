// Makes assets/editor.js and assets/editor.licences.txt. With --check it compares them with what is committed.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const assets = join(here, "..", "assets");

const made = await build({
  absWorkingDir: here,
  entryPoints: ["src/main.js"],
  bundle: true,
  minify: true,
  write: false,
  metafile: true,
  format: "iife",
  globalName: "FlinkPlatform",
  target: "es2022",
  charset: "utf8",
  loader: { ".tsv": "text" },
  legalComments: "none", // they are in editor.licences.txt
  banner: { js: "// Built by make bundle from internal/platform/web/bundle. Licences: editor.licences.txt" },
});

const packages = new Set();
for (const file of Object.keys(made.metafile.inputs)) {
  const found = /(?:^|\/)node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file);
  if (found) packages.add(found[1]);
}
let notices = "editor.js contains the following packages. The part of this project is under its own licence.\n";
for (const name of [...packages].sort()) {
  const dir = join(here, "node_modules", name);
  const about = JSON.parse(readFileSync(join(dir, "package.json"), "utf8"));
  const file = readdirSync(dir).find((f) => /^licen[sc]e/i.test(f));
  if (!file) throw new Error(`${name} has no licence file`);
  notices += `\n${"=".repeat(72)}\n${name} ${about.version} (${about.license})\n\n${readFileSync(join(dir, file), "utf8").replaceAll("\r\n", "\n").trim()}\n`;
}

const out = { "editor.js": made.outputFiles[0].text, "editor.licences.txt": notices };
let wrong = false;
for (const [name, text] of Object.entries(out)) {
  const path = join(assets, name);
  if (!process.argv.includes("--check")) writeFileSync(path, text);
  else if (readFileSync(path, "utf8") !== text) {
    console.error(`error: ${name} is not what its sources make\nhint: make bundle, and commit it`);
    wrong = true;
  }
}
if (wrong) process.exit(1);
console.log(`editor.js: ${Math.round(out["editor.js"].length / 1024)} KiB, ${packages.size} packages`);
