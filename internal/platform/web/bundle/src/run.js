// A debug run: a request whose answer is a stream of events.
import { Problem, call } from "./call.js";
import { Events } from "./events.js";

// stream calls heard for each event, with its data. It ends with the stream, or throws an AbortError when the signal says so.
export async function stream(path, options, heard) {
  const response = await call(path, { ...options, headers: { Accept: "text/event-stream", ...options.headers } });
  const events = new Events();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    let piece;
    try {
      piece = await reader.read();
    } catch (error) {
      if (options.signal?.aborted) throw new DOMException("stopped", "AbortError");
      throw new Problem(0, { detail: "The connection to the server was lost.", hint: "Press Debug to run it again." });
    }
    if (piece.done) return;
    for (const { event, data } of events.push(piece.value)) heard(event, JSON.parse(data));
  }
}
