// Chooses the page's colours; the choice is kept in this browser (entries/theme.ts applies it before first paint).
//
//   <theme-switch><select aria-label="Tema"><option value="">Automático</option>
//     <option value="dark">Oscuro</option> <option value="grey">Gris claro</option> <option value="light">Claro</option>
//   </select></theme-switch>
//
// The empty value follows the page: <html data-theme-default="dark">. Tells theme:change.
import { tell } from "../live/city";

export class ThemeSwitch extends HTMLElement {
  #off = new AbortController();

  connectedCallback(): void {
    this.#off = new AbortController();
    const select = this.querySelector("select");
    if (!select) return;
    select.value = localStorage.getItem("theme") ?? "";
    select.addEventListener("change", () => this.#choose(select.value), { signal: this.#off.signal });
    window.addEventListener("storage", (event) => {
      if (event.key !== "theme") return;
      select.value = event.newValue ?? "";
      this.#apply(select.value);
    }, { signal: this.#off.signal });
  }

  disconnectedCallback(): void {
    this.#off.abort();
  }

  #choose(theme: string): void {
    if (theme) localStorage.setItem("theme", theme);
    else localStorage.removeItem("theme");
    this.#apply(theme);
  }

  #apply(chosen: string): void {
    const root = document.documentElement;
    const theme = chosen || (root.dataset.themeDefault ?? "light");
    root.dataset.theme = theme;
    tell("theme:change", { theme });
  }
}

customElements.define("theme-switch", ThemeSwitch);
