import { beforeEach, expect, test, vi } from "vitest";
import "./copy-text";

let written: string[] = [];

function page(): { button: HTMLButtonElement; status: Element; element: HTMLElement } {
  const element = document.createElement("copy-text");
  element.hidden = true;
  element.setAttribute("for", "text");
  element.setAttribute("text-done", "Copiado");
  element.setAttribute("text-failed", "Use Ctrl+C");
  const button = element.appendChild(document.createElement("button"));
  const status = element.appendChild(document.createElement("span"));
  status.setAttribute("role", "status");
  const source = document.createElement("pre");
  source.id = "text";
  source.textContent = "\ncurl 'x'\n";
  document.body.replaceChildren(element, source);
  return { button, status, element };
}

beforeEach(() => {
  written = [];
});

test("the text goes to the clipboard, and the reader is told", async () => {
  vi.stubGlobal("navigator", { clipboard: { writeText: (text: string) => Promise.resolve(void written.push(text)) } });
  const { button, status, element } = page();
  expect(element.hidden).toBe(false);
  button.click();
  await vi.waitFor(() => expect(status.textContent).toBe("Copiado"));
  expect(written).toEqual(["curl 'x'"]);
});

test("without a clipboard the reader is told what to do", async () => {
  vi.stubGlobal("navigator", {});
  const { button, status } = page();
  button.click();
  await vi.waitFor(() => expect(status.textContent).toBe("Use Ctrl+C"));
});
