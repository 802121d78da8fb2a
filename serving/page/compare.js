// One question, several systems side by side: who finds what, and what only one of them finds.

import { call, of } from "./api.js";
import { snippet } from "./answer.js";
import { button, fill, h, heading } from "./dom.js";
import { go, place } from "./place.js";
import { duration, likely, percent } from "./words.js";

const USUAL = ["lexical", "dense", "hybrid", "policy"];
const LIMIT = 10;

export class Compare {
  constructor(app) {
    this.app = app;
    this.question = h("input", { id: "question", type: "text", maxlength: 4000, placeholder: "Ask several systems at once", "aria-label": "Question", dir: "auto", enterkeyhint: "search" });
    this.choices = (app.workspace?.systems ?? []).map((name) => h("input", { type: "checkbox", value: name, id: `system-${name}` }));
    this.out = h("div", { class: "result" });
    this.element = h("div", { class: "compare-view" }, heading("Compare"),
      h("form", { class: "question", role: "search", onsubmit: (event) => { event.preventDefault(); this.#ask(); } },
        h("div", { class: "field-with-button" }, this.question, h("button", { type: "submit", class: "main" }, "Compare")),
        h("fieldset", { class: "choices" }, h("legend", {}, "Systems"), this.choices.map((box) => h("span", {}, box, h("label", { for: box.id }, box.value))))),
      this.out);
  }

  update(now) {
    const name = JSON.stringify([now.q, now.systems]);
    if (name === this.shown) return;
    this.shown = name;
    this.question.value = now.q ?? "";
    const usual = this.choices.map((box) => box.value).filter((value) => USUAL.includes(value));
    const chosen = now.systems?.split(",") ?? usual;
    for (const box of this.choices) box.checked = chosen.includes(box.value);
    if (now.q && now.systems) this.#compare(now.q, chosen);
    else fill(this.out, h("p", { class: "welcome" }, "The same question goes to every system that is ticked. What only one of them finds stands out."));
  }

  leave() {
    this.running?.abort();
  }

  stop() {
    this.running?.abort();
  }

  #ask() {
    const q = this.question.value.trim();
    const systems = this.choices.filter((box) => box.checked).map((box) => box.value);
    if (!q) return this.question.focus();
    if (!systems.length) return fill(this.out, this.app.problem(new Error("No system is ticked: tick at least one.")));
    const before = this.shown;
    go({ view: "compare", workspace: place().workspace, q, systems: systems.join(",") });
    if (this.shown === before) this.#compare(q, systems);
  }

  async #compare(question, systems) {
    this.running?.abort();
    const running = this.running = new AbortController();
    fill(this.out, h("div", { class: "progress" }, h("span", { class: "pulse", "aria-hidden": "true" }), `Asking ${systems.length} systems…`,
      button("Stop", () => running.abort(), { class: "quiet small" })));
    try {
      const results = await call(of(place().workspace, "compare"), { method: "POST", body: { question, limit: LIMIT, systems }, signal: running.signal });
      if (this.running === running) this.#show(systems.filter((name) => results[name]).map((name) => [name, results[name]]));
    } catch (error) {
      if (this.running !== running) return;
      fill(this.out, error.name === "AbortError" ? h("p", { class: "progress" }, "Stopped.") : this.app.problem(error));
    }
  }

  #show(results) {
    const finders = new Map();
    for (const [name, result] of results) {
      this.app.remember(result);
      for (const { passage, rank } of result.evidence) finders.set(passage.id, [...finders.get(passage.id) ?? [], { name, rank }]);
    }
    const shared = [...finders.values()].filter((found) => found.length === results.length).length;
    fill(this.out,
      h("p", { class: "summary" }, `${finders.size} passages were found; ${shared} by ${results.length === 1 ? "it" : results.length === 2 ? "both" : `all ${results.length}`}.`),
      h("div", { class: "columns", tabindex: 0, role: "group", "aria-label": "Results side by side" }, results.map(([name, result]) => this.#column(name, result, finders))));
    this.app.announce(`${results.length} systems compared, ${finders.size} passages found, ${shared} by all.`);
  }

  #column(name, result, finders) {
    const sure = typeof result.confidence === "number" ? `${likely(result.confidence)} complete (${percent(result.confidence)})` : "not judged";
    return h("section", { class: "column", "aria-label": name },
      h("h2", {}, name),
      h("dl", { class: "figures" }, [["Evidence", sure], ["Time", duration(result.milliseconds)], ["Calls", result.calls]].map(([what, value]) => h("div", {}, h("dt", {}, what), h("dd", {}, value)))),
      result.unanswered ? h("p", { class: "doubt" }, "The corpus probably does not answer this.") : result.answer?.stated ? h("p", { class: "stated", dir: "auto" }, result.answer.text) : null,
      h("ol", { class: "evidence" }, result.evidence.map((evidence) => this.#item(name, evidence, finders.get(evidence.passage.id)))));
  }

  #item(name, evidence, found) {
    const others = found.filter((one) => one.name !== name);
    return h("li", {
      class: `card${others.length ? "" : " alone"}`, "data-passage": evidence.passage.id,
      onpointerenter: () => this.#point(evidence.passage.id), onpointerleave: () => this.#point(null),
      onfocusin: () => this.#point(evidence.passage.id), onfocusout: () => this.#point(null),
    },
      h("h3", {}, h("span", { class: "rank", "aria-hidden": "true" }, evidence.rank),
        button(evidence.passage.title || evidence.passage.document_id, () => this.app.openEvidence(evidence), { class: "plain", dir: "auto" })),
      h("p", { class: "text", dir: "auto" }, snippet(evidence, true)),
      h("p", { class: "beside" }, others.length ? others.map(({ name: other, rank }) => h("span", {}, `${other}: ${rank}`)) : h("span", { class: "badge" }, "found here alone")));
  }

  #point(passage) {
    for (const card of this.out.querySelectorAll(".card")) card.classList.toggle("pointed", card.dataset.passage === passage);
  }
}
