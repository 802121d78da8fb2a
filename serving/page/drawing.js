// Draws a trail: the question at the left, a box for every step that brought passages, lines from what it set out from.

import { h, s, fill } from "./dom.js";
import { DRAWN, trailOf } from "./trail.js";
import { counted, fitted } from "./words.js";

const LEFT = 58, GAP = 32, BETWEEN = 16, PILL = 28, DOT = 17, HEAD = 30, PAD = 10;
/** The share of its size to which a drawing shrinks before it scrolls. */
const SMALLEST = 0.82;
/** Fonts of the style sheet: weight and size. */
const LABEL = "600 11.5px", TITLE = "600 12px";

/** A drawing that grows with the steps; `open(passage)` is called for one that is clicked. */
export class Drawing {
  constructor(open) {
    this.open = open;
    this.known = new Set();
    this.place = h("div", { class: "drawing", tabindex: 0, role: "group", "aria-label": "Drawing of the search" });
    this.caption = h("p", { class: "caption", "aria-hidden": "true" });
    this.element = h("figure", { class: "trail" }, this.place, this.caption);
  }

  /** Show the steps so far; `ranks` has the rank of every passage in the result, once there is one. */
  show(steps, ranks = new Map()) {
    const trail = trailOf(steps);
    this.ranks = ranks;
    const seen = new Set(trail.groups.flatMap((group) => group.passages.map(({ id }) => id))).size;
    this.said = `${counted(seen, "passage")} seen, ${trail.taken.size} taken`;
    const [boxes, width, height] = arranged(trail, this.place.clientWidth);
    const lines = [], nodes = [];
    for (const box of boxes) this.#box(box, trail, lines, nodes);
    for (const { from, to, words } of trail.links) lines.push(this.#link(boxes, from, to, words));
    const question = s("g", { class: "start" }, s("circle", { cx: 24, cy: 30, r: 15 }), s("text", { x: 24, y: 35.5, "text-anchor": "middle" }, "?"));
    const shown = s("svg", { width, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Drawing of the search: ${this.said}. The list of steps says the same in words.` }, lines, question, nodes);
    shown.style.minWidth = `${Math.round(width * SMALLEST)}px`;
    fill(this.place, shown);
    this.place.scrollLeft = ranks.size ? 0 : this.place.scrollWidth;
    this.#say();
  }

  /** Forget what was drawn, so that the next steps arrive anew, in the room that it took. */
  clear() {
    this.place.style.minHeight = `${this.place.clientHeight}px`;
    this.known.clear();
  }

  /** Let a passage stand out, or none. */
  point(passage) {
    for (const node of this.place.querySelectorAll("[data-passage]")) {
      node.classList.toggle("pointed", node.dataset.passage === passage);
    }
  }

  #arriving(name) {
    const fresh = !this.known.has(name);
    this.known.add(name);
    return fresh ? " arriving" : "";
  }

  #box({ group, x, y, width, height, pills, dots, left, source }, trail, lines, nodes) {
    const arriving = this.#arriving(`step ${group.number}`);
    lines.push(curve(source, { x, y: y + 14 }, `way ${group.step.action}${arriving}`));
    const body = [
      s("rect", { x, y, width, height, rx: 10, class: `box ${group.step.action}` }),
      s("text", { x: x + PAD + 2, y: y + 19, class: "label" }, fitted(`${group.number} · ${group.label}`, width - 2 * PAD - 4, LABEL)),
    ];
    if (!group.passages.length) body.push(s("text", { x: x + PAD + 2, y: y + 35, class: "nothing" }, "nothing new"));
    for (const pill of pills) body.push(this.#pill(pill, trail.taken.get(pill.id)));
    for (const dot of dots) body.push(this.#dot(dot));
    if (left) body.push(s("text", { x: x + PAD + 2, y: y + height - 9, class: "nothing" }, `and ${left.toLocaleString("en")} more`));
    nodes.push(s("g", { class: `group${arriving}` }, body));
  }

  #pill({ id, title, x, y, width }, { order }) {
    return this.#spot(id, `taken${this.#arriving(`take ${id}`)}`, `${title}: taken as number ${order}`,
      s("rect", { x, y, width, height: PILL - 4, rx: 12 }),
      s("circle", { cx: x + 12, cy: y + 12, r: 9 }),
      s("text", { x: x + 12, y: y + 16, "text-anchor": "middle", class: "order" }, order),
      s("text", { x: x + 27, y: y + 16.5, class: "title" }, fitted(title, width - 36, TITLE)));
  }

  #dot({ id, title, x, y }) {
    const rank = this.ranks.get(id);
    const said = rank ? `only seen, rank ${rank} of the result` : "only seen";
    return this.#spot(id, rank ? "seen ranked" : "seen", `${title}: ${said}`,
      s("circle", { cx: x, cy: y, r: 8, class: "reach" }), s("circle", { cx: x, cy: y, r: 4.5, class: "dot" }));
  }

  #spot(id, kind, words, ...shapes) {
    return s("g", {
      class: `spot ${kind}`, "data-passage": id,
      onclick: () => this.open(id),
      onpointerenter: () => { this.#say(words); this.point(id); },
      onpointerleave: () => { this.#say(); this.point(null); },
    }, shapes);
  }

  #say(words = this.said) {
    fill(this.caption, words);
  }

  #link(boxes, from, to, words) {
    const [start, end] = [from, to].map((id) => boxes.flatMap(({ pills }) => pills).find((pill) => pill.id === id));
    if (!start || !end) return null;
    const name = `way why${this.#arriving(`link ${from} ${to}`)}`;
    const line = start.x < end.x
      ? curve(rightOf(start), { x: end.x, y: end.y + 12 }, name)
      : bow(rightOf(start), rightOf(end), name);
    line.append(s("title", {}, words));
    return line;
  }
}

/** Return [boxes with their pills and dots in place, width, height]; columns are steps away from the question. */
function arranged({ groups, taken }, room) {
  const columns = Math.max(1, ...groups.map(({ depth }) => depth));
  const width = Math.min(Math.max(Math.floor((room - LEFT - 4) / columns) - GAP, 164), 260);
  const free = new Map();
  const pillsOf = new Map();
  const boxes = groups.map((group) => {
    const x = LEFT + (group.depth - 1) * (width + GAP);
    const origin = group.from === null ? null : pillsOf.get(group.from);
    const source = origin ? rightOf(origin) : { x: 39, y: 30 };
    const y = Math.max(free.get(group.depth) ?? 16, origin ? origin.y - 2 : 16);
    const mine = group.passages.filter(({ id }) => taken.has(id) && !pillsOf.has(id));
    const others = group.passages.filter(({ id }) => !taken.has(id));
    const pills = mine.map((passage, k) => ({ ...passage, x: x + PAD - 2, y: y + HEAD + k * PILL, width: width - 2 * PAD + 4 }));
    for (const pill of pills) pillsOf.set(pill.id, pill);
    const across = Math.floor((width - 2 * PAD) / DOT);
    const top = y + HEAD + pills.length * PILL + 6;
    const dots = others.slice(0, DRAWN).map((passage, k) => ({ ...passage, x: x + PAD + 8 + (k % across) * DOT, y: top + 2 + Math.floor(k / across) * DOT }));
    const left = others.length - dots.length;
    const height = HEAD + pills.length * PILL + Math.ceil(dots.length / across) * DOT + (left ? 18 : 0) + (group.passages.length ? 4 : 14);
    free.set(group.depth, y + height + BETWEEN);
    return { group, x, y, width, height, pills, dots, left, source };
  });
  const height = Math.max(62, ...boxes.map((box) => box.y + box.height + 8));
  return [boxes, LEFT + columns * (width + GAP) - GAP + 28, height];
}

function rightOf(pill) {
  return { x: pill.x + pill.width, y: pill.y + 12 };
}

function curve(from, to, kind) {
  const half = Math.max((to.x - from.x) / 2, 20);
  return s("path", { class: kind, pathLength: kind.includes("why") ? null : 1, d: `M${from.x} ${from.y}C${from.x + half} ${from.y} ${to.x - half} ${to.y} ${to.x} ${to.y}` });
}

/** Return a line between two that stand in one column, or back to an earlier one, bowed to the right. */
function bow(from, to, kind) {
  const out = Math.max(from.x, to.x) + 26;
  return s("path", { class: kind, pathLength: kind.includes("why") ? null : 1, d: `M${from.x} ${from.y}C${out} ${from.y} ${out} ${to.y} ${to.x} ${to.y}` });
}
