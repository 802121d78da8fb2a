// Where the page is: the view and all that it shows stand in the URL, after the #, which no server gets to see.

export const VIEWS = ["ask", "compare", "graph", "documents", "index"];

/** Return the place that the URL says: {view, ...} with a string for every parameter. */
export function place() {
  const [view, query = ""] = location.hash.replace(/^#\/?/, "").split("?", 2);
  return { ...Object.fromEntries(new URLSearchParams(query)), view: VIEWS.includes(view) ? view : "ask" };
}

/** Return the URL of a place; parameters that are null or empty are left out. */
export function link({ view, ...parameters }) {
  const kept = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const query = new URLSearchParams(kept).toString();
  return `#${view}${query ? `?${query}` : ""}`;
}

/** Go to a place: a step of the browser's history, or with `replace` none. */
export function go(target, replace = false) {
  const url = link(target);
  if (url === location.hash) return;
  history[replace ? "replaceState" : "pushState"](null, "", url);
  dispatchEvent(new Event("placechange"));
}
