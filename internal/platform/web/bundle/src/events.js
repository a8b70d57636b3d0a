// Server-sent events out of pieces of text, as a streamed answer brings them.
export class Events {
  #rest = "";

  // push takes a piece and returns the events that are complete: {event, data}.
  push(piece) {
    this.#rest += piece;
    const out = [];
    for (;;) {
      const end = /\r\n\r\n|\n\n|\r\r/.exec(this.#rest);
      if (!end) return out;
      const block = this.#rest.slice(0, end.index);
      this.#rest = this.#rest.slice(end.index + end[0].length);
      let event = "message";
      const data = [];
      for (const line of block.split(/\r\n|\n|\r/)) {
        const at = line.indexOf(":");
        if (at === 0) continue; // a comment, which keeps proxies from ending the connection
        const field = at < 0 ? line : line.slice(0, at);
        const value = at < 0 ? "" : line.slice(at + 1).replace(/^ /, "");
        if (field === "event") event = value;
        if (field === "data") data.push(value);
      }
      if (data.length > 0) out.push({ event, data: data.join("\n") });
    }
  }
}
