// The evidence of a result as a list, a part at a time where it is long.

import { button, fill, h } from "./dom.js";
import { link, place } from "./place.js";
import { snippet } from "./answer.js";
import { counted, percent } from "./words.js";

const AT_ONCE = 50;

/** Return the list; `open(evidence)` shows one in its document, `point(passage)` lets it stand out in the drawing. */
export function evidenceList(result, { open, point }) {
  const list = h("ol", { class: "evidence" });
  const more = h("p", { class: "more" });
  const taken = result.evidence.filter((evidence) => evidence.taken).length;
  let shown = 0;
  const extend = () => {
    const next = result.evidence.slice(shown, shown + AT_ONCE);
    list.append(...next.map((evidence) => item(evidence, taken > 0, open, point)));
    const focus = shown > 0 ? list.children[shown].querySelector("button") : null;
    shown += next.length;
    const left = result.evidence.length - shown;
    fill(more, left ? button(`Show ${Math.min(left, AT_ONCE)} more of ${left.toLocaleString("en")}`, extend, { class: "quiet" }) : null);
    focus?.focus();
  };
  extend();
  return h("section", { "aria-labelledby": "evidence-heading" },
    h("h2", { id: "evidence-heading" }, "Evidence ", h("small", {}, counted(result.evidence.length, "passage") + (taken ? `, ${taken} taken` : ""))),
    list, more);
}

function item(evidence, chooses, open, point) {
  const { passage } = evidence;
  const beside = [
    evidence.taken ? h("span", { class: "badge taken" }, "taken") : chooses ? h("span", { class: "badge" }, "only seen") : null,
    typeof evidence.probability === "number" ? h("span", { title: "how likely it is a part of the evidence" }, `${percent(evidence.probability)} evidence`) : null,
    h("span", { dir: "auto" }, evidence.how),
    typeof evidence.bm25 === "number" ? h("span", { title: "score of its words" }, `BM25 ${evidence.bm25.toFixed(1)}`) : null,
    typeof evidence.cosine === "number" ? h("span", { title: "closeness of its vector to the question's" }, `cosine ${evidence.cosine.toFixed(2)}`) : null,
    evidence.page ? h("span", {}, `page ${evidence.page}`) : null,
    passage.source ? h("span", { class: "source", dir: "auto" }, passage.source) : null,
    h("a", { href: link({ ...base(), view: "graph", passage: passage.id }) }, "neighbours"),
  ];
  return h("li", {
    class: `card${evidence.taken ? " taken" : ""}`, "data-passage": passage.id,
    onpointerenter: () => point(passage.id), onpointerleave: () => point(null),
    onfocusin: () => point(passage.id), onfocusout: () => point(null),
  },
    h("h3", {}, h("span", { class: "rank", "aria-hidden": "true" }, evidence.rank),
      button(passage.title || passage.document_id, () => open(evidence), { class: "plain", dir: "auto", "aria-label": `${evidence.rank}. ${passage.title || passage.document_id}: read in its document` })),
    h("p", { class: "text", dir: "auto" }, snippet(evidence)),
    h("p", { class: "beside" }, beside));
}

function base() {
  return { workspace: place().workspace };
}
