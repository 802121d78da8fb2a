// Shortcuts of single keys, which can be switched off.

import { dialog, h } from "./dom.js";
import { go, place, VIEWS } from "./place.js";
import { nextTheme } from "./theme.js";

const OFF = "trailhound.shortcuts";
const LIST = [
  ["/", "go to the question"], ["Enter", "ask; Shift+Enter begins a new line"], ["j  k", "next and previous piece of evidence"], ["Enter", "on a piece of evidence: read it in its document"],
  ["Esc", "stop the search; close a panel"], ["g a", "Ask"], ["g c", "Compare"], ["g g", "Graph"], ["g d", "Documents"], ["g i", "Index"],
  ["t", "light or dark"], ["?", "this list"],
];

/** Act on the shortcuts as long as the page is open. */
export function listenForShortcuts(app) {
  let after = "";
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !document.querySelector("dialog[open]")) return void app.view?.stop?.();
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]") || localStorage.getItem(OFF)) return;
    const pressed = after + event.key;
    after = event.key === "g" && !after ? "g " : "";
    if (act(pressed, app)) event.preventDefault();
  });
}

function act(pressed, app) {
  if (pressed === "/") return focusQuestion();
  if (pressed === "?") return showShortcuts();
  if (pressed === "t") return app.announce(`Theme: ${nextTheme()}`), true;
  if (pressed === "j" || pressed === "k") return step(pressed === "j" ? 1 : -1);
  const view = /^g ./.test(pressed) ? VIEWS.find((name) => name[0] === pressed[2]) : null;
  if (view) go({ view, workspace: place().workspace, q: ["ask", "compare"].includes(view) ? place().q ?? app.asked : null });
  return Boolean(view);
}

function focusQuestion() {
  const field = document.getElementById("question");
  if (field) field.focus(), field.select();
  else go({ view: "ask", workspace: place().workspace }), document.getElementById("question")?.focus();
  return true;
}

function step(way) {
  const titles = [...document.querySelectorAll(".evidence h3 button")];
  const now = titles.findIndex((title) => title.closest("li").contains(document.activeElement));
  titles[Math.min(Math.max(now + way, 0), titles.length - 1)]?.focus();
  return titles.length > 0;
}

/** Show what the keyboard can do. */
export function showShortcuts() {
  const on = h("input", { type: "checkbox", id: "shortcuts-on", onchange: () => (on.checked ? localStorage.removeItem(OFF) : localStorage.setItem(OFF, "off")) });
  on.checked = !localStorage.getItem(OFF);
  dialog("Keyboard", [
    h("dl", { class: "shortcuts" }, LIST.map(([keys, what]) => [h("dt", {}, keys.split(" ").filter(Boolean).map((one) => [h("kbd", {}, one), " "])), h("dd", {}, what)])),
    h("p", {}, on, " ", h("label", { for: "shortcuts-on" }, "Shortcuts of a single key are on")),
  ], { kind: "small" });
  return true;
}
