// Every page: styles, htmx, the living connection, theme, keyboard and figures.
import "../styles/app.css";
import htmx from "htmx.org/dist/htmx.esm.js";
import { followCounts } from "../live/counts";
import { followKeys } from "../live/shortcuts";
import "../elements/city-clock";
import "../elements/city-live";
import "../elements/theme-switch";

// The content security policy forbids eval and inline styles: htmx works without both.
Object.assign(htmx.config, {
  allowEval: false,
  allowScriptTags: false,
  includeIndicatorStyles: false,
  selfRequestsOnly: true,
  historyCacheSize: 0, // pages with people's data are not kept in the browser's storage
  refreshOnHistoryMiss: true,
});

const page = new AbortController();
followCounts(page.signal);
followKeys(page.signal);

// Django's protection of forms, for requests that htmx makes.
document.addEventListener("htmx:configRequest", (event) => {
  const token = document.querySelector<HTMLInputElement>("input[name=csrfmiddlewaretoken]")?.value;
  if (token) (event as CustomEvent<{ headers: Record<string, string> }>).detail.headers["X-CSRFToken"] = token;
});
