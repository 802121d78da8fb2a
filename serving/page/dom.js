// Makes elements. What documents and servers say goes in as text alone, never as markup.

const SVG = "http://www.w3.org/2000/svg";

/** Return an element: `h("a", {href: "#", class: "x", onclick: act}, "text", child)`. */
export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** Return an element of a drawing. */
export function s(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Put children in the place of what an element holds. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Return a heading that takes the focus when its view opens. */
export function heading(text, level = 1) {
  return h(`h${level}`, { tabindex: -1 }, text);
}

/** Return a button; `kind` is a class such as "quiet" or "main". */
export function button(text, act, attributes = {}) {
  return h("button", { type: "button", ...attributes, onclick: act }, text);
}

/** Return a field with its label above it, and a hint below where there is one. */
export function field(label, input, hint = null) {
  const id = input.id || (input.id = `field-${(fields += 1)}`);
  const said = hint === null ? null : h("p", { class: "hint", id: `${id}-hint` }, hint);
  if (said) input.setAttribute("aria-describedby", said.id);
  return h("div", { class: "field" }, h("label", { for: id }, label), input, said);
}
let fields = 0;

/** Show a dialog with a heading; Escape and the button close it. Returns it once it is open. */
export function dialog(title, content, { kind = "", closed = () => {} } = {}) {
  const name = `dialog-${(fields += 1)}`;
  const box = h("dialog", { class: kind, "aria-labelledby": name },
    h("header", {}, h("h2", { id: name }, title), button("Close", () => box.close(), { class: "quiet small" })),
    content);
  box.addEventListener("close", () => { box.remove(); closed(box.returnValue); });
  box.addEventListener("click", (event) => { if (event.target === box) box.close(); });
  document.body.append(box);
  box.showModal();
  return box;
}

/** Ask before something that cannot be undone; resolves to whether it is wanted. */
export function confirmed(title, text, yes) {
  return new Promise((resolve) => {
    const keep = button("Keep", () => box.close("keep"), { class: "quiet" });
    const box = dialog(title, [
      h("p", {}, text),
      h("p", { class: "row end" }, keep, button(yes, () => box.close("yes"), { class: "danger" })),
    ], { kind: "small", closed: (answer) => resolve(answer === "yes") });
    keep.focus();
  });
}
