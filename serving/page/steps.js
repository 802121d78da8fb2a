// The path of a search as a list: what each step did, why, what it brought, and what of that was only seen.

import { button, h } from "./dom.js";
import { trailOf } from "./trail.js";
import { counted, percent } from "./words.js";

const SIGNS = { expand: "?", hop: "→", take: "✓", stop: "■" };
const NAMES = { expand: "asked", hop: "followed", take: "took", stop: "stopped" };
const LISTED = 60;

/** Return the list items of all steps; `open(passage)` shows a passage in its document. */
export function stepItems(steps, open) {
  const { taken } = trailOf(steps);
  return steps.map((step) => stepItem(step, taken, open));
}

function stepItem(step, taken, open) {
  const certain = step.probability === 1 ? null : h("span", { class: "chance", title: "how likely the policy found this step" }, percent(step.probability));
  const brought = step.action === "take" || step.action === "stop" ? null : bringings(step, taken, open);
  const words = step.action === "take" && step.passages.length
    ? button(step.detail, () => open(step.passages[0]), { class: "plain", dir: "auto" })
    : h("span", { dir: "auto" }, step.detail);
  return h("li", { class: `step ${step.action}`, "data-kept": step.passages.filter((id) => taken.has(id)).length },
    h("span", { class: "sign", "aria-hidden": "true" }, SIGNS[step.action] ?? "·"),
    h("div", {},
      h("p", { class: "did" }, h("span", { class: "unseen" }, `${NAMES[step.action] ?? step.action}: `), words, " ", certain),
      h("p", { class: "because", dir: "auto" }, `because ${step.reason}`),
      brought));
}

function bringings(step, taken, open) {
  const all = step.passages.map((id, k) => ({ id, title: step.titles[k] }));
  if (!all.length) return h("p", { class: "because" }, "brought nothing new");
  const kept = all.filter(({ id }) => taken.has(id));
  const seen = all.filter(({ id }) => !taken.has(id));
  const entry = ({ id, title }, sign = "") => h("li", {}, sign, button(title, () => open(id), { class: "plain", dir: "auto" }));
  return [
    kept.length ? h("ul", { class: "brought" }, kept.map((one) => entry(one, "✓ "))) : null,
    seen.length ? h("details", { class: "seen" },
      h("summary", {}, `${counted(seen.length, "passage")} only seen`),
      h("ul", { class: "brought" }, seen.slice(0, LISTED).map((one) => entry(one)),
        seen.length > LISTED ? h("li", {}, `and ${(seen.length - LISTED).toLocaleString("en")} more`) : null)) : null,
  ];
}

/** Return what to tell a listener of a step, in one sentence. */
export function spoken(step) {
  const brought = step.action === "take" || step.action === "stop" ? "" : `, which brought ${counted(step.passages.length, "passage")}`;
  return `${step.detail}${brought}, because ${step.reason}`;
}

const MEANINGS = [["expand", "it asks the indexes, by words, by meaning, by name"], ["hop", "it follows what a passage mentions, and who mentions it"], ["take", "it takes a passage as evidence, and says why"], ["stop", "it stops when nothing more is worth its price"]];

/** Return what the signs of the steps mean. */
export function legend() {
  return h("ul", { class: "legend" }, MEANINGS.map(([action, words]) => h("li", { class: `step ${action}` }, h("span", { class: "sign", "aria-hidden": "true" }, SIGNS[action]), h("span", {}, words))));
}
