// Copies the text of another element.
//
//   <copy-text for="curl" text-done="Copiado" text-failed="Seleccione el texto y use Ctrl+C." hidden>
//     <button type="button">Copiar</button><span role="status"></span></copy-text>
//   <pre id="curl">…</pre>
//
// Shows itself, since without script it could do nothing. What it did stands in the status, for two seconds.

const SHOWN_MS = 2000;

export class CopyText extends HTMLElement {
  #off = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;

  connectedCallback(): void {
    this.#off = new AbortController();
    this.hidden = false;
    this.querySelector("button")?.addEventListener("click", () => void this.#copy(), { signal: this.#off.signal });
  }

  disconnectedCallback(): void {
    this.#off.abort();
    clearTimeout(this.#timer);
  }

  async #copy(): Promise<void> {
    const source = document.getElementById(this.getAttribute("for") ?? "");
    if (!source) return;
    const done = await put(source.textContent?.trim() ?? "", source);
    this.#say(done ? "text-done" : "text-failed");
  }

  #say(attribute: string): void {
    const status = this.querySelector("[role=status]");
    if (!status) return;
    status.textContent = this.getAttribute(attribute);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => (status.textContent = ""), attribute === "text-done" ? SHOWN_MS : 4 * SHOWN_MS);
  }
}

/** The clipboard is there only on https and on this machine; elsewhere the text is selected, ready for the keys. */
async function put(text: string, source: HTMLElement): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    getSelection()?.selectAllChildren(source);
    return false;
  }
}

customElements.define("copy-text", CopyText);
