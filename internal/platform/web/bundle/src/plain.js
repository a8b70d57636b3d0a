// plain makes visible what a browser would act on instead of showing it: control characters and those that change the direction of text, as
// functions.go does. A line break is shown too: what is shown here has one line.
export function plain(text) {
  return String(text).replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (c) => {
    const code = c.codePointAt(0);
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    return code === 0x7f ? "\u2421" : "\ufffd";
  });
}
