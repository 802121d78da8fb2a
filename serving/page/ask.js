// The first view: ask, watch the search, read what it found.

import { answerOf } from "./answer.js";
import { events, of } from "./api.js";
import { button, field, fill, h, heading } from "./dom.js";
import { Drawing } from "./drawing.js";
import { evidenceList } from "./evidence.js";
import { metadataOf } from "./filter.js";
import { go, link } from "./place.js";
import { legend, spoken, stepItems } from "./steps.js";
import { counted, cut, likely } from "./words.js";

const KEPT = 20;
const BETWEEN_STEPS = 800;
const results = new Map();

/** Forget the results that are kept for going back to them: the index has changed. */
export function forgetResults() {
  results.clear();
}

export class Ask {
  constructor(app) {
    this.app = app;
    this.question = h("textarea", { id: "question", rows: 1, maxlength: 4000, placeholder: "Ask something", "aria-label": "Question", enterkeyhint: "search", dir: "auto" });
    this.system = h("select", {}, h("option", { value: "" }, "as configured"), (app.workspace?.systems ?? []).map((name) => h("option", { value: name }, name)));
    this.limit = h("input", { type: "number", min: 1, max: 1000, value: 10, inputmode: "numeric" });
    this.filter = h("input", { type: "text", placeholder: "year >= 2020, lang = en", spellcheck: "false", autocomplete: "off" });
    this.options = h("details", { class: "options" }, h("summary", {}, "Options"),
      h("div", { class: "fields" }, field("System", this.system), field("Passages", this.limit),
        field("Only documents whose metadata has", this.filter, "Conditions with = != > >= < <= contains exists; commas join them, | gives choices. JSON is taken too.")));
    this.submit = h("button", { type: "submit", class: "main" }, "Ask");
    this.form = h("form", { class: "question", role: "search", onsubmit: (event) => { event.preventDefault(); this.#ask(); } },
      h("div", { class: "field-with-button" }, this.question, this.submit), this.options);
    this.out = h("div", { class: "result" });
    this.element = h("div", { class: "ask" }, heading("What do you want to know?"), this.form, this.out);
    this.question.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); this.form.requestSubmit(); }
    });
    this.question.addEventListener("input", () => this.#fit());
  }

  /** Show what the place says: a result that is kept, or a new search. */
  update(place) {
    this.place = place;
    const name = JSON.stringify([place.workspace, place.q, place.system, place.limit, place.filter]);
    if (name === this.shown) return;
    this.shown = name;
    this.stop();
    this.question.value = place.q ?? "";
    this.system.value = place.system ?? "";
    this.limit.value = place.limit ?? 10;
    this.filter.value = place.filter ?? "";
    if (place.system || place.limit || place.filter) this.options.open = true;
    this.#fit();
    this.element.classList.toggle("fresh", !place.q);
    if (!place.q) this.#welcome();
    else if (results.has(name)) {
      this.#begin();
      this.#result(results.get(name));
    } else this.#search(name);
  }

  /** Stop a search that runs; returns whether one did. */
  stop() {
    const running = this.running !== undefined && !this.running.signal.aborted;
    this.running?.abort();
    return running;
  }

  leave() {
    this.stop();
  }

  #fit() {
    this.question.style.height = "auto";
    this.question.style.height = `${Math.min(this.question.scrollHeight + 2, 220)}px`;
  }

  #ask() {
    const q = this.question.value.trim();
    if (!q) return this.question.focus();
    if (!this.form.reportValidity()) return;
    const limit = this.limit.value === "10" ? "" : this.limit.value;
    const before = this.shown;
    go({ view: "ask", workspace: this.place.workspace, q, system: this.system.value, limit, filter: this.filter.value.trim() });
    if (this.shown === before) { // the same once more: search anew
      results.delete(this.shown);
      this.shown = null;
      this.update(this.place);
    }
  }

  #welcome() {
    const { workspace } = this.app;
    document.title = "Trailhound";
    if (!workspace) return fill(this.out, h("p", { class: "welcome" }, "No workspace is open: start the server with an index, as in “trailhound serve my.index”."));
    const nothing = h("p", {}, `“${workspace.name}” has no documents yet. `, h("a", { href: link({ view: "documents", workspace: workspace.name }) }, "Add some"), ", then ask.");
    const about = h("p", {}, `${counted(workspace.documents, "document")} in “${workspace.name}”. Ask, and watch how the search goes:`);
    fill(this.out, h("div", { class: "welcome" }, workspace.passages ? [about, legend()] : nothing,
      h("p", { class: "hint keys" }, h("kbd", {}, "/"), " to ask, ", h("kbd", {}, "?"), " for all shortcuts")));
  }

  async #search(name) {
    const running = this.running = new AbortController();
    const steps = [];
    let body;
    try {
      const metadata = metadataOf(this.place.filter ?? "");
      body = { question: this.place.q, limit: Number(this.place.limit ?? 10), answer: true };
      if (this.place.system) body.system = this.place.system;
      if (metadata) body.where = { metadata };
    } catch (error) {
      running.abort();
      return this.#failed(error);
    }
    this.#begin();
    try {
      for await (const { event, data } of events(of(this.place.workspace, "search", "stream"), body, running.signal)) {
        if (event === "step") this.#step(steps, data);
        else if (event === "error") throw Object.assign(new Error(data.error?.message ?? data.message), data.error);
        else if (event === "result") {
          results.set(name, data);
          if (results.size > KEPT) results.delete(results.keys().next().value);
          this.#result(data);
          this.app.announce(`Found ${counted(data.evidence.length, "passage")}. ${data.unanswered ? "The corpus probably does not answer this." : data.answer?.stated ? `Answer, ${likely(data.answer.probability)} right: ${data.answer.text}` : "No passage states an answer."}`);
        }
      }
      if (!running.signal.aborted && !results.has(name)) throw new Error("The search ended without a result. Ask again.");
    } catch (error) {
      if (this.running !== running) return;
      if (error.name === "AbortError") this.#stopped();
      else this.#failed(error);
    } finally {
      running.abort();
    }
  }

  #begin() {
    this.drawing = new Drawing((passage) => this.app.openPassage(passage));
    this.list = h("ol", { class: "steps" });
    this.again = button("Replay", () => this.#replay(), { class: "quiet small replay", hidden: true, title: "See the steps once more, one after the other" });
    this.progress = h("div", { class: "progress" }, h("span", { class: "pulse", "aria-hidden": "true" }), h("span", {}, "Searching…"),
      button("Stop", () => this.stop(), { class: "quiet small", title: "Stop (Escape)" }));
    fill(this.out, h("div", { class: "found" }, this.progress, h("div", { class: "waiting", "aria-hidden": "true" }, [1, 2, 3].map(() => h("div", {})))), this.#trailPane());
    document.title = `${cut(this.place.q, 60)} – Trailhound`;
  }

  #trailPane() {
    return h("aside", { class: "pane", "aria-labelledby": "trail-heading" },
      h("h2", { id: "trail-heading" }, "Trail ", h("small", {}, "how the search went")), this.again, this.drawing.element, this.list);
  }

  #step(steps, step) {
    steps.push(step);
    this.drawing.show(steps);
    this.#listed(steps);
    this.app.announce(spoken(step));
  }

  /** Bring the list up to date; what did not change stays as it is, with the focus that it may have. */
  #listed(steps) {
    stepItems(steps, (passage) => this.app.openPassage(passage)).forEach((item, k) => {
      const before = this.list.children[k];
      if (!before) this.list.append(item);
      else if (before.dataset.kept !== item.dataset.kept) {
        if (before.querySelector("details")?.open) item.querySelector("details")?.setAttribute("open", "");
        before.replaceWith(item);
      }
    });
  }

  #result(result) {
    this.app.remember(result);
    this.path = result.path;
    this.ranks = new Map(result.evidence.map(({ passage, rank }) => [passage.id, rank]));
    this.again.hidden = result.path.length < 2;
    const open = (evidence, marks) => this.app.openEvidence(evidence, marks);
    this.drawing.show(result.path, this.ranks);
    this.#listed(result.path);
    fill(this.out.querySelector(".found"), answerOf(result, open),
      result.evidence.length ? evidenceList(result, { open, point: (passage) => this.drawing.point(passage) }) : null);
    document.title = `${cut(result.question, 60)} – Trailhound`;
  }

  /** Draw the steps once more, slowly enough to follow them. */
  async #replay() {
    const { drawing, path, list, ranks } = this;
    const mine = this.replay = Symbol("replay");
    const ongoing = () => this.replay === mine && drawing.element.isConnected;
    drawing.clear();
    for (let k = 0; k < path.length && ongoing(); k += 1) {
      drawing.show(path.slice(0, k + 1));
      [...list.children].forEach((item, at) => item.classList.toggle("now", at === k));
      await new Promise((resolve) => { setTimeout(resolve, BETWEEN_STEPS); });
    }
    if (!ongoing()) return;
    drawing.show(path, ranks);
    list.querySelector(".now")?.classList.remove("now");
  }

  #stopped() {
    const found = this.out.querySelector(".found");
    if (found) fill(found, h("p", { class: "progress" }, "Stopped. ", button("Ask again", () => this.#ask(), { class: "quiet small" })));
    this.app.announce("The search was stopped.");
  }

  #failed(error) {
    const again = button("Ask again", () => this.#ask(), { class: "quiet small" });
    const shown = this.app.problem(error, again);
    const found = this.out.querySelector(".found");
    if (found) fill(found, shown);
    else fill(this.out, shown);
  }
}
