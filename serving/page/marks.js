// Marks places in texts. The server counts characters, JavaScript half-characters beyond the basic plane: both are mended here.

import { h } from "./dom.js";

/** Return a function from a place in characters to the place in a JavaScript string. */
export function places(text) {
  if (!/[\ud800-\udfff]/.test(text)) return (place) => Math.min(Math.max(place, 0), text.length);
  const starts = [];
  let unit = 0;
  for (const character of text) {
    starts.push(unit);
    unit += character.length;
  }
  starts.push(unit);
  return (place) => starts[Math.min(Math.max(place, 0), starts.length - 1)];
}

/** Return the part [start, end) of a text, counted in characters. */
export function part(text, start, end) {
  const at = places(text);
  return text.slice(at(start), at(end));
}

/** Return a text as nodes, its marks in <mark>: `marks` are {start, end, kind} counted in characters, and may overlap. */
export function marked(text, marks, offset = 0) {
  const at = places(text);
  const found = marks
    .map(({ start, end, kind }) => ({ start: at(start - offset), end: at(end - offset), kind }))
    .filter(({ start, end }) => end > start);
  const cuts = [...new Set([0, text.length, ...found.flatMap(({ start, end }) => [start, end])])].sort((a, b) => a - b);
  return cuts.slice(1).map((end, k) => {
    const piece = text.slice(cuts[k], end);
    const kinds = found.filter((mark) => mark.start <= cuts[k] && mark.end >= end).map((mark) => mark.kind);
    return kinds.length ? h("mark", { class: kinds.join(" ") }, piece) : piece;
  });
}

/** Return the part of a text around a place, for a list of many, with whether it was cut at either end. */
export function excerpt(text, start, end, longest) {
  const at = places(text);
  let [from, to] = [at(start), at(end)];
  const room = Math.max(longest - (to - from), 0);
  from = wordStart(text, Math.max(0, from - Math.floor(room / 3)));
  to = Math.min(text.length, from + Math.max(longest, 1));
  return { text: text.slice(from, to), from, to, before: from > 0, after: to < text.length };
}

function wordStart(text, place) {
  if (place === 0) return 0;
  const space = text.indexOf(" ", place);
  return space < 0 || space - place > 40 ? place : space + 1;
}
