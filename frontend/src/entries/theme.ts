// In the page's head, before anything is painted: no flash of the wrong colours. Imports nothing, so that it can be
// a plain script.
(() => {
  const root = document.documentElement;
  let chosen: string | null = null;
  try {
    chosen = localStorage.getItem("theme");
  } catch {
    // Storage may be forbidden: the page's own theme is used.
  }
  root.dataset.theme = chosen === "dark" || chosen === "light" || chosen === "grey" ? chosen : (root.dataset.themeDefault ?? "light");
  root.classList.add("js");
})();
