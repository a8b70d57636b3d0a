// scriptIn is the script of a definition with its place: {from, to, text}. The text has blanks in place of what is before it, so that places are the
// same in both. null: it is not a block of its own.
export function scriptIn(text) {
  const head = /^(?:sql:[^\S\n]*\n(?:(?:[ \t]+.*|[ \t]*(?:#.*)?)\n)*?)([ \t]+)script:[ \t]*[|>][-+\d]*[ \t]*(?:#.*)?\n/m.exec(text);
  if (!head) return null;
  const from = head.index + head[0].length;
  const indent = head[1].length;
  let to = from;
  for (const line of text.slice(from).split(/(?<=\n)/)) {
    if (line.trim() !== "" && line.length - line.trimStart().length <= indent) break;
    to += line.length;
  }
  return { from, to, text: text.slice(0, from).replace(/[^\n]/g, " ") + text.slice(from, to) };
}
