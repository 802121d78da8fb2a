// Says figures in words.

const CERTAINTY = [[0.95, "almost certainly"], [0.8, "very probably"], [0.6, "probably"], [0.4, "perhaps"], [0.2, "probably not"], [0, "very probably not"]];

/** Return how likely something is, in words. */
export function likely(probability) {
  return CERTAINTY.find(([least]) => probability >= least)[1];
}

/** Return how likely it is that something is done, before its verb: "probably", "probably do not". */
export function likelyDone(probability) {
  return likely(probability).replace(/ not$/, " do not");
}

export function percent(share) {
  return `${Math.round(share * 100)}\u00a0%`;
}

/** Return a number of things: "1 passage", "2,000 passages". */
export function counted(number, what) {
  return `${number.toLocaleString("en")} ${what}${number === 1 ? "" : "s"}`;
}

export function duration(milliseconds) {
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

export function bytes(count) {
  const units = ["bytes", "KB", "MB", "GB", "TB"];
  const power = count < 1 ? 0 : Math.min(Math.floor(Math.log(count) / Math.log(1000)), units.length - 1);
  return `${power ? (count / 1000 ** power).toFixed(1) : count} ${units[power]}`;
}

/** Return how long ago something was, in words; `when` is ISO 8601 or seconds since 1970. */
export function ago(when) {
  const then = new Date(typeof when === "number" ? when * 1000 : when);
  const seconds = (Date.now() - then) / 1000;
  if (Number.isNaN(seconds)) return "unknown";
  if (seconds < 60) return "just now";
  const steps = [[86400, "day"], [3600, "hour"], [60, "minute"]];
  const [size, unit] = steps.find(([size]) => seconds >= size);
  return seconds > 30 * 86400 ? then.toLocaleDateString() : `${counted(Math.floor(seconds / size), unit)} ago`;
}

/** Return a text cut to so many characters, whole ones. */
export function cut(text, longest) {
  const characters = Array.from(text.slice(0, 2 * longest + 2));
  return characters.length > longest ? `${characters.slice(0, longest - 1).join("").trimEnd()}…` : text;
}

/** Return a text cut so that it is at most so many pixels wide in the page's font; `font` is its weight and size. */
export function fitted(text, width, font) {
  canvas.font = `${font} ${getComputedStyle(document.body).fontFamily}`;
  let shown = cut(text, 120);
  while (shown.length > 2 && canvas.measureText(shown).width > width) shown = cut(shown, Math.max(Array.from(shown).length - 1, 2));
  return shown;
}
const canvas = document.createElement("canvas").getContext("2d");
