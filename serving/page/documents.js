// The documents of a workspace: find, read, add by typing, choosing or dropping, and delete.

import { call, of } from "./api.js";
import { button, field, fill, h, heading } from "./dom.js";
import { followJob } from "./jobs.js";
import { go, place } from "./place.js";
import { bytes, counted } from "./words.js";

const AT_ONCE = 50;
/** Bytes that the server takes in a request, but for what is around them. */
const MOST = 7_900_000;

export class Documents {
  constructor(app) {
    this.app = app;
    this.query = h("input", { type: "search", id: "question", placeholder: "Find by title", "aria-label": "Find documents by title", dir: "auto" });
    this.list = h("ul", { class: "documents" });
    this.more = h("p", { class: "more" });
    this.count = h("small");
    this.element = h("div", { class: "documents-view" }, heading("Documents"), h("div", { class: "two" },
      h("section", { "aria-labelledby": "list-heading" }, h("h2", { id: "list-heading" }, "In the index ", this.count),
        h("form", { class: "question", role: "search", onsubmit: (event) => { event.preventDefault(); go({ ...place(), q: this.query.value.trim() }); } },
          h("div", { class: "field-with-button" }, this.query, h("button", { type: "submit", class: "quiet" }, "Find"))),
        this.list, this.more),
      app.workspace?.changeable === false ? h("p", { class: "hint" }, "This index is a knowledge graph: it is built anew, not changed.") : this.#adding()));
  }

  update(now) {
    if (now.q === this.shown && this.loaded) return;
    [this.shown, this.loaded] = [now.q, true];
    this.query.value = now.q ?? "";
    this.refresh();
  }

  /** Read the list anew. */
  refresh() {
    const { workspace } = this.app;
    fill(this.count, workspace ? `${counted(workspace.documents, "document")}, ${counted(workspace.passages, "passage")}` : "");
    fill(this.list);
    this.#extend(null);
  }

  async #extend(after) {
    const asked = this.shown;
    fill(this.more, "Reading…");
    try {
      const parameters = { limit: AT_ONCE, ...(after ? { after } : {}), ...(asked ? { query: asked } : {}) };
      const found = await call(`${of(place().workspace, "documents")}?${new URLSearchParams(parameters)}`);
      if (asked !== this.shown) return;
      this.list.append(...found.documents.map((one) => this.#item(one)));
      const nothing = asked ? `No document is called “${asked}”.` : "No documents yet: add the first.";
      fill(this.more, found.next ? button("Show more", () => this.#extend(found.next), { class: "quiet" }) : this.list.children.length ? null : nothing);
    } catch (error) {
      fill(this.more, this.app.problem(error));
    }
  }

  #item(one) {
    return h("li", { "data-document": one.id },
      h("div", {}, button(one.title || one.id, () => go({ ...place(), document: one.id }), { class: "plain", dir: "auto" }),
        h("p", { class: "beside" }, h("span", { dir: "auto" }, one.source || one.id), one.passages === undefined ? null : h("span", {}, counted(one.passages, "passage")))),
      this.app.workspace.changeable === false ? null : button("Delete", () => this.app.deleteDocument(one.id, one.title), { class: "quiet small", "aria-label": `Delete ${one.title || one.id}` }));
  }

  #adding() {
    const title = h("input", { type: "text", dir: "auto", autocomplete: "off" });
    const id = h("input", { type: "text", autocomplete: "off", spellcheck: "false" });
    const text = h("textarea", { rows: 8, required: true, dir: "auto" });
    const metadata = h("textarea", { rows: 2, spellcheck: "false", placeholder: '{"year": 2026, "lang": "en"}' });
    const problems = h("div");
    const form = h("form", {
      onsubmit: async (event) => {
        event.preventDefault();
        fill(problems);
        try {
          const about = metadata.value.trim() ? parsedMetadata(metadata.value) : {};
          const name = id.value.trim() || `typed-${new Date().toISOString().replace(/[:.]/g, "-")}`;
          const record = { id: name, title: title.value.trim(), text: text.value, metadata: about };
          if (await this.#add([record], `“${record.title || name}” is in the index.`, problems)) form.reset();
        } catch (error) {
          fill(problems, this.app.problem(error));
        }
      },
    },
      field("Title", title), field("Text", text),
      h("details", { class: "options" }, h("summary", {}, "Id and metadata"), field("Id", id, "Without one it is called after the time."), field("Metadata", metadata, "JSON, by which searches can be filtered.")),
      h("p", {}, h("button", { type: "submit", class: "main" }, "Add")), problems);
    return h("section", { class: "adding", "aria-labelledby": "add-heading" }, h("h2", { id: "add-heading" }, "Add"), this.#dropping(), form);
  }

  #dropping() {
    const problems = h("div");
    const input = h("input", { type: "file", multiple: true, class: "unseen", id: "files", onchange: () => { this.#upload([...input.files], problems); input.value = ""; } });
    const zone = h("div", {
      class: "drop",
      ondragover: (event) => { event.preventDefault(); zone.classList.add("over"); },
      ondragleave: () => zone.classList.remove("over"),
      ondrop: (event) => { event.preventDefault(); zone.classList.remove("over"); this.#upload([...event.dataTransfer.files], problems); },
    }, input, h("label", { for: "files", class: "button" }, "Choose files"), h("span", {}, " or drop them here: text, Markdown, HTML, PDF, office files, tables, JSON lines…"));
    return h("div", {}, zone, problems);
  }

  /** Send files, in as many requests as their size asks for. */
  async #upload(files, problems) {
    fill(problems);
    const tooLarge = files.filter(({ size }) => size > MOST);
    if (tooLarge.length) {
      const names = tooLarge.map(({ name, size }) => `${name} (${bytes(size)})`).join(", ");
      fill(problems, this.app.problem(new Error(`The server takes ${bytes(MOST)} at once, and there is more in ${names}: add it where the index is, with “trailhound update”.`)));
    }
    for (const batch of batches(files.filter(({ size }) => size <= MOST))) {
      const form = new FormData();
      for (const file of batch) form.append("files", file);
      if (!await this.#add(form, `${counted(batch.length, "file")} sent: ${batch.map(({ name }) => name).slice(0, 3).join(", ")}${batch.length > 3 ? "…" : ""}`, problems)) return;
    }
  }

  async #add(body, done, problems) {
    try {
      const job = await call(of(place().workspace, "documents"), { method: "POST", body });
      return await followJob(job, this.app, done) !== null;
    } catch (error) {
      fill(problems, this.app.problem(error));
      return false;
    }
  }
}

function parsedMetadata(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`The metadata is no JSON: ${error.message}`);
  }
}

/** Return files in groups that a request may hold. */
function batches(files) {
  const found = [];
  let size = Infinity;
  for (const file of files) {
    if (size + file.size > MOST) {
      found.push([]);
      size = 0;
    }
    found.at(-1).push(file);
    size += file.size;
  }
  return found;
}
