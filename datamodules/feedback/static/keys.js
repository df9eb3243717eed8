// What a key means: what it writes first, and its place where that says nothing here.
//
// A Latin letter is taken at its word wherever it lies (QWERTZ, AZERTY); letters of other alphabets and keys that an
// input method holds back ("Process") are taken by their place. The row of digits writes other signs on many keyboards,
// so there the place counts as well.

const HELD_BACK = ["", "Process", "Unidentified", "Dead"];
const PLACES = { Space: " ", Minus: "-", Equal: "+", NumpadAdd: "+", NumpadSubtract: "-", NumpadEnter: "Enter" };

// { digit, second } of a class, second with shift; or { name } of a command that `known` accepts; or {}.
export function meaningOf({ key, code, shiftKey }, known) {
  const pad = /^Numpad([0-9])$/.exec(code); // with shift, or without its lock, it writes arrows
  if (pad) return { digit: Number(pad[1]), second: shiftKey };
  if (/^[0-9]$/.test(key)) return { digit: Number(key), second: false };
  const name = key.length === 1 ? key.toLowerCase() : key;
  if (known(name)) return { name };
  const row = /^Digit([0-9])$/.exec(code);
  if (row) return { digit: Number(row[1]), second: shiftKey };
  const writesLatin = /^[!-~]$/.test(key) && code !== "Equal";
  if (writesLatin || (key.length > 1 && !HELD_BACK.includes(key))) return {};
  const place = PLACES[code] ?? (/^Key([A-Z])$/.exec(code)?.[1].toLowerCase() ?? code);
  return known(place) ? { name: place } : {};
}
