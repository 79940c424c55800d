// The keyboard. What a key does is written in the page, where it is translated and shown:
//   <a href="/centro/" data-key="g m">   keys one after the other: follows the link, presses the button, or
//   <input type="search" data-key="/">   gives the focus to a field
//   <dialog id="shortcuts"> … <input type="checkbox" data-letters-off> … </dialog>   opened by ?
// j and k walk over [data-row] links; Enter opens, as it does on any link; Esc is handled by who is open.
// Single letters can be turned off (WCAG 2.1.4): kept in this browser.

const PAUSE_MS = 900;

export function followKeys(signal: AbortSignal): void {
  let pending = "";
  let since = 0;
  const dialog = document.querySelector<HTMLDialogElement>("#shortcuts");
  const off = dialog?.querySelector<HTMLInputElement>("[data-letters-off]");
  if (off) {
    off.checked = localStorage.getItem("letters") === "off";
    off.addEventListener("change", () => localStorage.setItem("letters", off.checked ? "off" : "on"), { signal });
  }
  document.addEventListener("click", (event) => {
    const target = event.target as Element;
    if (target.closest("[data-open-shortcuts]")) dialog?.showModal();
    if (target.closest("dialog [data-close-dialog]")) target.closest("dialog")!.close();
  }, { signal });
  document.addEventListener("keydown", (event) => {
    const target = event.target as HTMLElement;
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (target.closest("input:not([type=checkbox], [type=radio], [type=range]), textarea, select, [contenteditable]")) return;
    if (document.querySelector("dialog[open]")) return;
    if (localStorage.getItem("letters") === "off" || event.key.length !== 1) return;
    const sequence = event.timeStamp - since < PAUSE_MS && pending ? `${pending} ${event.key}` : event.key;
    since = event.timeStamp;
    pending = event.key === "g" ? "g" : "";
    if (sequence === "?" && dialog) return void (event.preventDefault(), dialog.showModal());
    if (sequence === "j" || sequence === "k") return void (walk(sequence === "j" ? 1 : -1) && event.preventDefault());
    const place = document.querySelector<HTMLElement>(`[data-key="${CSS.escape(sequence)}"]`);
    if (!place) return;
    event.preventDefault();
    if (place.matches("input, select, textarea, [tabindex]")) place.focus();
    else place.click();
  }, { signal });
}

function walk(step: number): boolean {
  const rows = [...document.querySelectorAll<HTMLElement>("[data-row]")].filter((row) => row.checkVisibility?.() ?? true);
  if (!rows.length) return false;
  const at = rows.indexOf(document.activeElement as HTMLElement);
  const next = rows[at < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, at + step))]!;
  next.focus();
  next.scrollIntoView({ block: "nearest" });
  return true;
}
