// One document, whole, in a panel at the side: its passages, and the places that are marked in it.

import { call, of } from "./api.js";
import { button, fill, h } from "./dom.js";
import { marked, places } from "./marks.js";
import { go, link, place } from "./place.js";
import { counted } from "./words.js";

/** The panel that shows the document of the place, as long as the place has one. */
export class DocumentPanel {
  constructor(app) {
    this.app = app;
    this.title = h("h2", { id: "document-title", dir: "auto", tabindex: -1 });
    this.body = h("div", { class: "document" });
    this.element = h("dialog", { class: "panel", "aria-labelledby": "document-title" },
      h("header", {}, this.title, button("Close", () => this.element.close(), { class: "quiet small" })), this.body);
    this.element.addEventListener("close", () => {
      if (place().document) go({ ...place(), document: null, span: null, marks: null });
    });
    this.element.addEventListener("click", (event) => { if (event.target === this.element) this.element.close(); });
    document.body.append(this.element);
  }

  /** Show what the place says, or nothing. */
  async update(now) {
    const name = JSON.stringify([now.workspace, now.document, now.span, now.marks]);
    if (!now.document) {
      this.shown = null;
      this.element.close();
      return;
    }
    if (name === this.shown) return;
    this.shown = name;
    fill(this.title, now.document);
    fill(this.body, h("p", { class: "progress" }, h("span", { class: "pulse" }), "Opening…"));
    if (!this.element.open) this.element.showModal();
    try {
      const found = await call(of(now.workspace, "documents", now.document));
      if (this.shown === name) this.#show(found, now);
    } catch (error) {
      if (this.shown === name) fill(this.body, this.app.problem(error));
    }
  }

  #show(found, now) {
    fill(this.title, found.title || found.id);
    const marks = marksOf(now.marks);
    const span = now.span ? found.passages.find((passage) => passage.id === now.span) : null;
    const about = Object.entries(found.metadata);
    fill(this.body,
      h("p", { class: "beside" }, h("span", { dir: "auto" }, found.source || found.id), h("span", {}, counted(found.passages.length, "passage")),
        found.passages.length ? h("a", { href: link({ view: "graph", workspace: now.workspace, passage: (span ?? found.passages[0]).id }) }, "neighbours in the graph") : null,
        this.app.workspace?.changeable === false ? null : button("Delete…", () => this.app.deleteDocument(found.id, found.title), { class: "plain" })),
      about.length ? h("details", { class: "metadata" }, h("summary", {}, counted(about.length, "field") + " of metadata"),
        h("dl", {}, about.map(([key, value]) => [h("dt", {}, key), h("dd", { dir: "auto" }, typeof value === "string" ? value : JSON.stringify(value))]))) : null,
      h("article", { class: "text", dir: "auto" }, blocks(found, span, marks)));
    const target = this.body.querySelector("mark.exact") ?? this.body.querySelector("mark") ?? this.body.querySelector(".passage.here");
    this.body.scrollTop = 0;
    target?.scrollIntoView({ block: "center" });
    this.app.announce(span ? `Document open at the passage found: ${found.title}` : `Document open: ${found.title}`);
  }
}

/** Return marks as the URL has them: `sentence-10-52` or several, commas between. */
export function marksText(marks) {
  return marks.map(({ kind, start, end }) => `${kind}-${start}-${end}`).join(",");
}

function marksOf(text) {
  return [...(text ?? "").matchAll(/(sentence|exact)-(\d+)-(\d+)/g)].map(([, kind, start, end]) => ({ kind, start: Number(start), end: Number(end) }));
}

/** Return the text of a document as blocks: passages, and what stands between them. */
function blocks({ text, passages }, span, marks) {
  const at = places(text);
  const inOrder = [...passages].sort((a, b) => a.start - b.start);
  const found = [];
  let reached = 0;
  const block = (start, end, passage) => {
    const content = text.slice(at(start), at(end));
    if (!content.trim()) return;
    found.push(h("div", { class: `passage${passage === span && span ? " here" : ""}${passage ? "" : " between"}`, dir: "auto", "data-passage": passage?.id ?? null, title: passage ? passage.id : null },
      marked(content.replace(/\n+$/, ""), marks, start)));
  };
  for (const passage of inOrder) {
    if (passage.start > reached) block(reached, passage.start, null);
    if (passage.end > reached) block(Math.max(passage.start, reached), passage.end, passage);
    reached = Math.max(reached, passage.end);
  }
  block(reached, Infinity, null);
  return found;
}
