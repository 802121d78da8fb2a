// Starts the page: workspaces, views, panels, shortcuts, and what is told of errors.

import { call, key, of, ServerError } from "./api.js";
import { Ask, forgetResults } from "./ask.js";
import { Compare } from "./compare.js";
import { DocumentPanel, marksText } from "./document.js";
import { Documents } from "./documents.js";
import { button, confirmed, dialog, field, fill, h } from "./dom.js";
import { Graph } from "./graph.js";
import { IndexHealth } from "./index_health.js";
import { followJob } from "./jobs.js";
import { go, link, place, VIEWS } from "./place.js";
import { listenForShortcuts, showShortcuts } from "./shortcuts.js";
import { nextTheme, useTheme } from "./theme.js";

const KINDS = { ask: Ask, compare: Compare, graph: Graph, documents: Documents, index: IndexHealth };
const TITLES = { ask: "Ask", compare: "Compare", graph: "Graph", documents: "Documents", index: "Index" };
const AGAIN = 4000;

class App {
  constructor() {
    this.main = document.getElementById("main");
    this.live = document.getElementById("live");
    this.notices = document.getElementById("notices");
    this.select = document.getElementById("workspace");
    this.panel = new DocumentPanel(this);
    this.documentsOf = new Map();
  }

  /** The workspace of the place as the server describes it; null where there is none. */
  get workspace() {
    return this.workspaces?.find(({ name }) => name === place().workspace) ?? null;
  }

  async start() {
    useTheme();
    this.select.addEventListener("change", () => go({ view: place().view, workspace: this.select.value }));
    document.getElementById("theme").addEventListener("click", () => this.announce(`Theme: ${nextTheme()}`));
    document.getElementById("help").addEventListener("click", () => showShortcuts());
    document.getElementById("key").addEventListener("click", () => this.askForKey());
    document.getElementById("skip").addEventListener("click", (event) => { event.preventDefault(); this.main.focus(); });
    for (const name of ["popstate", "hashchange", "placechange"]) addEventListener(name, () => this.update());
    listenForShortcuts(this);
    await this.load();
  }

  /** Read the workspaces anew and show the place. */
  async load() {
    try {
      this.workspaces = await call("/v1/workspaces");
    } catch (error) {
      this.workspaces = null;
      this.#unreachable(error);
      return;
    }
    fill(this.notices);
    fill(this.select, this.workspaces.map(({ name }) => h("option", { value: name }, name)));
    this.select.disabled = this.workspaces.length < 2;
    this.view = null;
    this.update();
  }

  /** Bring the page to its place. */
  update() {
    if (!this.workspaces) return;
    const now = place();
    if (!now.workspace && this.workspaces.length) return go({ ...now, workspace: this.workspaces[0].name }, true);
    const unknown = now.workspace && !this.workspace;
    this.select.value = now.workspace ?? "";
    if (now.q && ["ask", "compare"].includes(now.view)) this.asked = now.q;
    const nav = document.querySelector("nav.views");
    const list = VIEWS.map((view) => h("a", { href: link({ view, workspace: now.workspace, q: ["ask", "compare"].includes(view) ? this.asked : null }), "aria-current": view === now.view ? "page" : null }, TITLES[view]));
    const focused = [...nav.children].indexOf(document.activeElement);
    fill(nav, list);
    nav.children[focused]?.focus();
    const name = `${now.workspace} ${now.view}`;
    if (name !== this.name || !this.view) {
      this.view?.leave?.();
      this.name = name;
      if (unknown) {
        this.view = { update() {} };
        fill(this.main, this.problem(new Error(`There is no workspace “${now.workspace}” here, or your key does not open it. Choose another at the top.`)));
      } else {
        this.view = new KINDS[now.view](this);
        fill(this.main, this.view.element);
        document.title = `${TITLES[now.view]} – Trailhound`;
        if (this.arrived && now.view !== "ask" && focused < 0) this.main.querySelector("h1")?.focus();
      }
      this.arrived = true;
    }
    this.view.update(now);
    this.panel.update(now);
  }

  /** Say something to those who listen, and nothing to those who look. */
  announce(text) {
    this.live.append(h("p", {}, text));
    while (this.live.children.length > 12) this.live.firstChild.remove();
  }

  /** Show a note for a while, in sight and to listeners. */
  note(text, kind = "") {
    const shown = h("p", { class: `note ${kind}` }, h("span", {}, text), button("Dismiss", () => shown.remove(), { class: "quiet small" }));
    this.notices.append(shown);
    this.announce(text);
    if (kind !== "bad") setTimeout(() => shown.remove(), 8000);
  }

  /** Return what went wrong, with what can be done about it. */
  problem(error, action = null) {
    if (error instanceof ServerError && error.status === 401 && !document.querySelector("dialog[open]")) this.askForKey(error);
    this.announce(error.message);
    const known = error instanceof ServerError || !(error instanceof TypeError);
    return h("div", { class: "problem", role: "alert" }, h("p", {}, known ? error.message : `The page failed: ${error.message}. Reload it.`),
      action ? h("p", {}, action) : null);
  }

  /** Keep which document every passage of a result is from. */
  remember(result) {
    for (const { passage } of result.evidence) this.documentsOf.set(passage.id, passage.document_id);
  }

  openEvidence({ passage, sentence }, marks = []) {
    const all = sentence ? [{ kind: "sentence", start: sentence.document_start, end: sentence.document_end }, ...marks] : marks;
    go({ ...place(), document: passage.document_id, span: passage.id, marks: marksText(all) });
  }

  /** Open a passage of which perhaps only the id is known, which is its document's and its number there. */
  openPassage(id) {
    go({ ...place(), document: this.documentsOf.get(id) ?? id.replace(/#\d+$/, ""), span: id, marks: null });
  }

  async deleteDocument(id, title) {
    if (!await confirmed("Delete this document?", `“${title || id}” leaves the index and is found no more. Its file, if it has one, stays.`, "Delete")) return;
    try {
      const job = await call(of(place().workspace, "documents", id), { method: "DELETE" });
      go({ ...place(), document: null, span: null, marks: null });
      await followJob(job, this, `“${title || id}” is deleted.`);
    } catch (error) {
      this.note(error.message, "bad");
    }
  }

  /** Read anew what a change of the index has changed. */
  async changed() {
    forgetResults();
    this.workspaces = await call("/v1/workspaces");
    this.view?.refresh?.();
  }

  askForKey(error = null) {
    const input = h("input", { type: "password", autocomplete: "off", value: key.get() });
    const box = dialog("API key", h("form", { onsubmit: (event) => { event.preventDefault(); key.set(input.value.trim()); box.close(); this.load(); } },
      error ? h("p", { class: "doubt" }, error.message) : null,
      field("Key", input, "It stays in this tab and is gone when you close it. Leave it empty to forget it."),
      h("p", { class: "row end" }, h("button", { type: "submit", class: "main" }, "Use this key"))), { kind: "small" });
    input.focus();
  }

  #unreachable(error) {
    const again = error.status === 0 && this.main.querySelector(".problem > p")?.textContent === error.message;
    if (!again) fill(this.main, this.problem(error, button("Try again", () => this.load(), { class: "main" })));
    if (error.status === 0) setTimeout(() => { if (!this.workspaces) this.load(); }, AGAIN);
  }
}

await new App().start();
