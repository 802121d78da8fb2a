// Light or dark: the system's choice, or yours, which is kept in this browser.

const NAME = "trailhound.theme";

/** Apply the theme that was chosen last. */
export function useTheme(theme = localStorage.getItem(NAME) ?? "auto") {
  document.documentElement.dataset.theme = theme;
}

/** Change to the other of light and dark; where that is the system's own, follow the system again. Returns its name. */
export function nextTheme() {
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const now = document.documentElement.dataset.theme;
  const other = (now === "auto" ? system : now) === "dark" ? "light" : "dark";
  const theme = other === system ? "auto" : other;
  localStorage.setItem(NAME, theme);
  useTheme(theme);
  return theme === "auto" ? `as the system, ${system}` : theme;
}
