// Theme: light, dark, or as the device is.
// Owns: the choice, in localStorage. Not here: the colours (`style/base.css`).

const KEY = "switchboard-theme";
const COLOURS = { light: "#f4f2ee", dark: "#12181a" };

/** "auto", "light" or "dark". */
export const chosenTheme = () => localStorage.getItem(KEY) ?? "auto";

/** Applies the choice to the page and to the browser's own bar. */
export function applyTheme() {
  const choice = chosenTheme();
  if (choice === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
  const dark = choice === "dark" || (choice === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.querySelector('meta[name="theme-color"]')?.setAttribute("content", dark ? COLOURS.dark : COLOURS.light);
}

export function chooseTheme(name) {
  if (name === "auto") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, name);
  applyTheme();
}
