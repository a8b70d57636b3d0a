// Tokens of Flink SQL, line by line, as internal/sqltext reads them: identifiers in backquotes, strings in single quotes with the quote
// doubled, -- and // comments, hints whose content is ordinary tokens. Double quotes quote nothing.

// A Line is what tokenOf reads from; CodeMirror's StringStream has the same methods.
export class Line {
  constructor(string) {
    this.string = string;
    this.pos = 0;
  }
  eol() {
    return this.pos >= this.string.length;
  }
  match(pattern) {
    const found = pattern.exec(this.string.slice(this.pos));
    if (!found || found.index !== 0) return null;
    this.pos += found[0].length;
    return found;
  }
  next() {
    return this.string[this.pos++];
  }
  skipToEnd() {
    this.pos = this.string.length;
  }
}

// inside: the token that goes on in the next line; escapes: it is a string with backslash escapes.
export const start = () => ({ inside: "", escapes: false, hint: false });

// Ends of the tokens that may have several lines.
const ends = {
  string: /^(?:[^']|'')*'(?!')/,
  escaped: /^(?:[^'\\]|''|\\.)*'(?!')/,
  quoted: /^(?:[^`]|``)*`(?!`)/,
  unicode: /^(?:[^"]|"")*"(?!")/,
  comment: /^.*?\*\//,
};

function rest(line, state) {
  const kind = state.inside;
  if (line.match(ends[kind])) state.inside = "";
  else line.skipToEnd();
  return kindOf[kind];
}

const kindOf = { string: "string", escaped: "string", quoted: "quoted", unicode: "quoted", comment: "comment" };

function open(line, state, kind) {
  state.inside = kind;
  return rest(line, state);
}

// tokenOf reads the next token of a line: space, comment, hint, string, quoted, number, word or symbol.
export function tokenOf(line, state) {
  if (state.inside) return rest(line, state);
  if (line.match(/^\s+/)) return "space";
  if (line.match(/^\/\*\+/)) {
    state.hint = true;
    return "hint";
  }
  if (state.hint && line.match(/^\*\//)) {
    state.hint = false;
    return "hint";
  }
  if (line.match(/^(?:--|\/\/)/)) {
    line.skipToEnd();
    return "comment";
  }
  if (line.match(/^\/\*/)) return open(line, state, "comment");
  if (line.match(/^[eE]'/)) return open(line, state, "escaped");
  if (line.match(/^(?:'|[nNxX]'|[uU]&'|_[\w.:-]+')/)) return open(line, state, "string");
  if (line.match(/^[uU]&"/)) return open(line, state, "unicode");
  if (line.match(/^`/)) return open(line, state, "quoted");
  if (line.match(/^(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?/)) return "number";
  if (line.match(/^[\p{L}_$][\p{L}\p{N}\p{M}_$]*/u)) return "word";
  line.next();
  return "symbol";
}

// lex returns all tokens of a text but space: {kind, text, from, to}. A string, name or comment without an end goes up to the end of the text.
export function lex(text) {
  const out = [];
  const state = start();
  let offset = 0;
  for (const part of text.split("\n")) {
    const line = new Line(part);
    while (!line.eol()) {
      const from = line.pos;
      const goesOn = state.inside !== "";
      const kind = tokenOf(line, state);
      if (line.pos === from) line.next(); // a token without a character would be read for ever
      if (kind === "space") continue;
      const token = { kind, text: part.slice(from, line.pos), from: offset + from, to: offset + line.pos };
      if (goesOn && out.length) {
        const last = out[out.length - 1];
        last.to = token.to;
        last.text = text.slice(last.from, last.to);
      } else out.push(token);
    }
    offset += part.length + 1;
  }
  if (state.inside && out.length) {
    const last = out[out.length - 1];
    last.to = text.length;
    last.text = text.slice(last.from);
    last.open = true;
  }
  return out;
}

// nameOf is the name that a token has, or null: backquotes are taken away.
export function nameOf(token) {
  if (!token) return null;
  if (token.kind === "word") return token.text;
  if (token.kind === "quoted" && token.text.startsWith("`")) return token.text.slice(1, token.open ? undefined : -1).replaceAll("``", "`");
  return null;
}

// quote writes a name as it must be in a script.
export function quote(name, reserved = () => false) {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !reserved(name) ? name : "`" + name.replaceAll("`", "``") + "`";
}
