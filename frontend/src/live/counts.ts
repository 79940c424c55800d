// Figures that follow the city:
//   <b data-count="streetlight.fault">12</b>   one state        data-count="vehicle.*"   all states of a layer
//   <b data-count="camera.!ok">3</b>           all but ok       data-count="camera.%ok"  share, in per cent
//   <b data-count="alert.critical">1</b>       active alerts by severity (counted here when the server does not)
//   <time data-time="data">14:02:31</time>     when the newest shown data is from
import { hear, type Counts, type Reset } from "./city";
import { clock, number } from "./format";
import { Picture } from "./picture";

export function valueOf(counts: Counts, name: string): number | null {
  const [layer, state] = name.split(".") as [string, string];
  const states = counts[layer];
  if (!states) return null;
  const all = Object.values(states).reduce((sum, n) => sum + n, 0);
  if (state === "*") return all;
  if (state === "!ok") return all - (states.ok ?? 0);
  if (state === "%ok") return all ? (100 * (states.ok ?? 0)) / all : null;
  return state.split("+").reduce((sum, part) => sum + (states[part] ?? 0), 0);
}

export function countsOf(picture: Reset): Counts {
  const alert: Record<string, number> = {};
  for (const { severity, status } of picture.alerts) if (status === "active") alert[severity] = (alert[severity] ?? 0) + 1;
  return { alert, ...picture.counts };
}

export function followCounts(signal: AbortSignal): void {
  const picture = new Picture();
  let past = false;
  const show = (shown: Reset): void => {
    const counts = countsOf(shown);
    for (const place of document.querySelectorAll<HTMLElement>("[data-count]")) {
      const value = valueOf(counts, place.dataset.count!);
      const words = value === null ? place.textContent : number(value) + (place.dataset.count!.includes("%") ? "\u00a0%" : "");
      if (place.textContent !== words) place.textContent = words;
      const box = place.closest<HTMLElement>("[data-zero]");
      if (box && value !== null) box.dataset.zero = value ? "no" : "yes";
    }
    for (const place of document.querySelectorAll<HTMLElement>("[data-time=data]")) place.textContent = clock(shown.at || shown.t, true);
  };
  const live = (): void => {
    if (!past && !picture.empty) show(picture.whole());
  };
  hear("city:reset", (reset) => (picture.reset(reset), live()), signal);
  hear("city:frame", (frame) => (picture.frame(frame), live()), signal);
  hear("city:moment", (moment) => {
    past = moment !== null;
    if (moment) show(moment.picture);
    else live();
  }, signal);
}
