// The form of a query: shows the fields of the chosen kind of place, tells which fields are at fault, and keeps empty
// fields out of the address.
//
//   <query-form><form id="query" hx-get=…> <select name="lugar">…</select> <div data-place="cerca">…</div>
//     <input aria-describedby="h-q fault-q"> <div id="fault-q"></div> </form></query-form>
//
// What is written beside a field comes from the server; here the field only learns that it is invalid.

export class QueryForm extends HTMLElement {
  #off = new AbortController();

  connectedCallback(): void {
    this.#off = new AbortController();
    const { signal } = this.#off;
    this.addEventListener("change", () => this.#places(), { signal });
    document.addEventListener("htmx:afterSettle", () => this.#faults(), { signal });
    document.addEventListener("htmx:oobAfterSwap", () => this.#faults(), { signal });
    // As the server leaves them out too: an address that can be read.
    this.addEventListener("htmx:configRequest", (event) => {
      const { parameters } = (event as CustomEvent<{ parameters: FormData | Record<string, unknown> }>).detail;
      if (parameters instanceof FormData) {
        for (const [name, value] of [...parameters.entries()]) if (value === "") parameters.delete(name);
      }
    }, { signal });
    this.#places();
    this.#faults();
  }

  disconnectedCallback(): void {
    this.#off.abort();
  }

  #places(): void {
    const chosen = this.querySelector<HTMLSelectElement>("select[name=lugar]")?.value ?? "";
    for (const part of this.querySelectorAll<HTMLElement>("[data-place]")) part.hidden = part.dataset.place !== chosen;
  }

  #faults(): void {
    for (const field of this.querySelectorAll<HTMLElement>("[aria-describedby]")) {
      const ids = field.getAttribute("aria-describedby")!.split(" ");
      const wrong = ids.some((id) => id.startsWith("fault-") && document.getElementById(id)?.textContent?.trim());
      field.toggleAttribute("data-fault", wrong);
      if (wrong) field.setAttribute("aria-invalid", "true");
      else field.removeAttribute("aria-invalid");
      if (wrong) field.closest("details")?.setAttribute("open", "");
    }
  }
}

customElements.define("query-form", QueryForm);
