// How the index is: its size, segments, deletions, drift, the changes in progress, and the questions it could not answer.

import { call, of } from "./api.js";
import { fill, h, heading } from "./dom.js";
import { link, place } from "./place.js";
import { ago, bytes, percent } from "./words.js";

export class IndexHealth {
  constructor(app) {
    this.app = app;
    this.cards = h("dl", { class: "cards" });
    this.segments = h("div");
    this.misses = h("div");
    this.jobs = h("div");
    this.element = h("div", { class: "index-view" }, heading("Index"), this.cards,
      section("Misses", "Questions of late that the corpus probably does not answer, or where evidence may be missing.", this.misses),
      section("Segments", "An index is written in parts, which merge as they grow in number.", this.segments),
      section("Changes", "What was added and deleted of late.", this.jobs));
  }

  update(now) {
    if (this.workspace === now.workspace) return;
    this.workspace = now.workspace;
    this.refresh();
  }

  /** Read everything anew. */
  refresh() {
    this.#read(this.cards, of(this.workspace, "health"), (health) => this.#health(health));
    this.#read(this.misses, of(this.workspace, "misses"), (found) => this.#misses(found.misses ?? found));
    this.#read(this.jobs, "/v1/jobs", (found) => this.#jobs((found.jobs ?? found).filter((job) => !job.workspace || job.workspace === this.workspace)));
  }

  async #read(element, path, show) {
    try {
      show(await call(path));
    } catch (error) {
      fill(element, this.app.problem(error));
    }
  }

  #health(health) {
    const { workspace } = this.app;
    const figures = [
      ["Documents", workspace.documents.toLocaleString("en")], ["Passages", workspace.passages.toLocaleString("en")],
      ["Size on disk", workspace.size_bytes === undefined ? null : bytes(workspace.size_bytes)], ["Last change", workspace.changed ? ago(workspace.changed) : null],
      ["Encoder", workspace.encoder], ["Deleted, not yet merged away", health.deleted.toLocaleString("en")],
      ["Drift", health.drift.words],
    ].filter(([, value]) => value !== null && value !== undefined);
    fill(this.cards, figures.map(([what, value]) => h("div", {}, h("dt", {}, what), h("dd", { class: value.length > 14 ? "words" : null }, value))));
    fill(this.segments, table(["Segment", "Documents", "Passages", "Deleted"], health.segments.map((one) => [one.name, one.documents, one.passages, one.deleted])));
  }

  #misses(misses) {
    fill(this.misses, misses.length
      ? h("ul", { class: "misses" }, misses.map((miss) => h("li", {},
        h("a", { href: link({ view: "ask", workspace: place().workspace, q: miss.question }), dir: "auto" }, miss.question),
        h("p", { class: "beside" }, h("span", {}, miss.unanswered ? "probably not answered by the corpus" : `evidence ${percent(miss.confidence)} sure to be complete`), miss.when ? h("span", {}, ago(miss.when)) : null))))
      : h("p", { class: "hint" }, "None so far."));
  }

  #jobs(jobs) {
    const rows = jobs.map((job) => [
      KINDS[job.kind] ?? job.kind, job.state, job.total ? `${job.done.toLocaleString("en")} of ${job.total.toLocaleString("en")}` : "", ago(job.created),
      job.error?.message ?? (job.problems ?? []).map(({ name, reason }) => `${name}: ${reason}`).join("; "),
    ]);
    fill(this.jobs, rows.length ? table(["Change", "State", "Progress", "When", "What went wrong"], rows) : h("p", { class: "hint" }, "None so far."));
  }
}

const KINDS = { add: "addition", delete: "deletion" };

function section(title, hint, content) {
  return h("section", {}, h("h2", {}, title), h("p", { class: "hint" }, hint), content);
}

function table(names, rows) {
  return h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": names[0] },
    h("table", {}, h("thead", {}, h("tr", {}, names.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, row.map((value) => h("td", { dir: "auto" }, typeof value === "number" ? value.toLocaleString("en") : value ?? "")))))));
}
