// The knowledge graph around one passage: what mentions it, what it mentions, what shares names or stands beside it.

import { call, of } from "./api.js";
import { button, fill, h, heading, s } from "./dom.js";
import { go, link, place } from "./place.js";
import { counted, cut, fitted } from "./words.js";

const SIDES = [
  { side: "left", relation: "mentions", inward: true, title: "mentioned by" },
  { side: "right", relation: "mentions", inward: false, title: "mentions" },
  { relation: "shares", title: "shares names or phrases with" },
  { relation: "adjacent", title: "stands beside, in its document" },
];
const WIDE = 230, ROW = 32, HEAD = 30, MIDDLE = 250, ACROSS = 900;
const DRAWN = 9;
const LIMIT = 200;

export class Graph {
  constructor(app) {
    this.app = app;
    this.search = h("input", { type: "search", placeholder: "Find a document by its title", "aria-label": "Find a document", id: "question", dir: "auto" });
    this.matches = h("div", { class: "matches" });
    this.out = h("div", { class: "result" });
    this.element = h("div", { class: "graph-view" }, heading("Graph"),
      h("form", { class: "question", role: "search", onsubmit: (event) => { event.preventDefault(); this.#find(); } },
        h("div", { class: "field-with-button" }, this.search, h("button", { type: "submit", class: "main" }, "Find"))),
      this.matches, this.out);
  }

  async update(now) {
    if (now.passage === this.shown) return;
    this.shown = now.passage;
    if (!now.passage) {
      fill(this.out, h("p", { class: "welcome" }, "Begin at any passage: find its document here, or follow “neighbours” from a piece of evidence."));
      return this.#find();
    }
    fill(this.matches);
    try {
      const found = await call(`${of(now.workspace, "graph")}?${new URLSearchParams({ passage: now.passage, depth: 1, limit: LIMIT })}`);
      if (this.shown === now.passage) this.#show(now.passage, found);
    } catch (error) {
      if (this.shown === now.passage) fill(this.out, this.app.problem(error));
    }
  }

  async #find() {
    const query = this.search.value.trim();
    try {
      const { documents } = await call(`${of(place().workspace, "documents")}?${new URLSearchParams({ limit: 12, query })}`);
      fill(this.matches, documents.length
        ? h("ul", { class: "chips" }, documents.map((one) => h("li", {}, button(one.title || one.id, () => this.#begin(one.id), { class: "quiet small", dir: "auto" }))))
        : h("p", { class: "hint" }, query ? `No document is called “${query}”.` : "There are no documents yet."));
    } catch (error) {
      fill(this.matches, this.app.problem(error));
    }
  }

  async #begin(id) {
    const found = await call(of(place().workspace, "documents", id));
    if (found.passages.length) go({ view: "graph", workspace: place().workspace, passage: found.passages[0].id });
  }

  #show(center, { nodes, edges }) {
    const known = new Map(nodes.map((node) => [node.id, node]));
    for (const { id, document } of nodes) this.app.documentsOf.set(id, document);
    const groups = SIDES.map((kind) => ({ ...kind, nodes: neighbours(center, edges, kind).map((id) => known.get(id)).filter(Boolean) })).filter((group) => group.nodes.length);
    const middle = known.get(center);
    const count = new Set(groups.flatMap((group) => group.nodes.map(({ id }) => id))).size;
    fill(this.out,
      h("div", { class: "center" }, h("h2", { dir: "auto" }, middle.title || middle.id),
        h("p", { class: "beside" }, h("span", {}, counted(count, "neighbour")), button("read it", () => this.app.openPassage(center), { class: "plain" }),
          h("a", { href: link({ view: "ask", workspace: place().workspace, q: middle.title ? `What is known about ${middle.title}?` : "" }) }, "ask about it")),
        middle.text ? h("p", { class: "text", dir: "auto" }, cut(middle.text, 420)) : null),
      count ? h("div", { class: "map" }, this.#map(middle, groups)) : h("p", { class: "welcome" }, "No link leads from or to this passage."),
      h("div", { class: "relations" }, groups.map((group) => h("section", {}, h("h3", {}, `${group.title} `, h("small", {}, group.nodes.length)),
        h("ul", {}, group.nodes.map((node) => h("li", {}, h("a", { href: this.#to(node.id), dir: "auto" }, node.title || node.id))))))));
    this.app.announce(`${middle.title || middle.id}: ${groups.map((group) => `${group.title} ${group.nodes.length}`).join(", ") || "no links"}`);
  }

  #to(passage) {
    return link({ view: "graph", workspace: place().workspace, passage });
  }

  /** Draw the passage in the middle, and the beginnings of every group at its side. */
  #map(middle, groups) {
    const sides = { left: 0, right: 0 };
    const drawn = new Set();
    const laid = groups.flatMap((group) => {
      const fresh = group.nodes.filter(({ id }) => !drawn.has(id));
      const shown = fresh.slice(0, DRAWN);
      for (const { id } of shown) drawn.add(id);
      if (!shown.length) return [];
      const side = group.side ?? (sides.left <= sides.right ? "left" : "right");
      const top = sides[side];
      sides[side] += HEAD + shown.length * ROW + (fresh.length > DRAWN ? 24 : 0) + 14;
      return [{ ...group, side, shown, left: fresh.length - shown.length, top }];
    });
    const height = Math.max(sides.left, sides.right, 90);
    const center = { x: ACROSS / 2, y: height / 2 };
    const lines = [], pills = [];
    for (const { side, relation, title, shown, left, top } of laid) {
      const shift = (height - sides[side]) / 2 + top;
      const x = side === "left" ? 0 : ACROSS - WIDE;
      pills.push(s("text", { x: side === "left" ? WIDE - 4 : x + 4, y: shift + 18, class: `relation ${relation}`, "text-anchor": side === "left" ? "end" : "start" }, title));
      shown.forEach((node, k) => {
        const y = shift + HEAD + k * ROW;
        const edge = side === "left" ? { x: WIDE, to: center.x - MIDDLE / 2 } : { x, to: center.x + MIDDLE / 2 };
        const half = (edge.x + edge.to) / 2;
        lines.push(s("path", { class: `edge ${relation}`, d: `M${edge.x} ${y + 13}C${half} ${y + 13} ${half} ${center.y} ${edge.to} ${center.y}` }));
        pills.push(s("g", { class: `node ${relation}`, onclick: () => go({ view: "graph", workspace: place().workspace, passage: node.id }) },
          s("title", {}, node.title || node.id), s("rect", { x: x + 1, y, width: WIDE - 2, height: 26, rx: 13 }), s("text", { x: x + 14, y: y + 17.5 }, fitted(node.title || node.id, WIDE - 28, "500 12.5px"))));
      });
      if (left) pills.push(s("text", { x: side === "left" ? WIDE - 4 : x + 4, y: shift + HEAD + shown.length * ROW + 14, class: "nothing", "text-anchor": side === "left" ? "end" : "start" }, `and ${left} more, listed below`));
    }
    const own = s("g", { class: "node middle" }, s("rect", { x: center.x - MIDDLE / 2, y: center.y - 21, width: MIDDLE, height: 42, rx: 21 }),
      s("text", { x: center.x, y: center.y + 5, "text-anchor": "middle" }, fitted(middle.title || middle.id, MIDDLE - 40, "650 14px")));
    return s("svg", { viewBox: `0 0 ${ACROSS} ${height}`, width: ACROSS, height, role: "img", "aria-label": "Drawing of the neighbours; the lists below say the same." }, lines, pills, own);
  }
}

/** Return the ids at the other end of the edges of a kind, each once. */
function neighbours(center, edges, { relation, inward }) {
  const ends = edges.filter((edge) => kindOf(edge.relation) === relation).map(({ source, target }) => {
    if (inward === true) return target === center ? source : null;
    if (inward === false) return source === center ? target : null;
    return source === center ? target : target === center ? source : null;
  });
  return [...new Set(ends)].filter((id) => id !== null && id !== center);
}

/** Return the kind of a relation: aliases are mentions too. */
function kindOf(relation) {
  const name = relation.toLowerCase();
  if (name.includes("mention")) return "mentions";
  return name.startsWith("share") ? "shares" : name;
}
