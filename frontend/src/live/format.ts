// Numbers and times as the page's reader writes them: es-CO figures, 24-hour clock, the city's time zone.

const root = () => document.documentElement;
export const locale = (): string => root().dataset.locale ?? (root().lang.startsWith("en") ? "en-GB" : "es-CO");
export const timeZone = (): string => root().dataset.tz ?? "America/Bogota";

/** The server writes the thousands as its catalogue says (<html data-thousand="1.000">): the browser does the same. */
export function number(value: number, digits = 1): string {
  const mark = root().dataset.thousand?.match(/^1(\D)000$/)?.[1];
  return new Intl.NumberFormat(locale(), { maximumFractionDigits: digits, useGrouping: "always" } as never)
    .formatToParts(value)
    .map((part) => (part.type === "group" && mark ? mark : part.value))
    .join("");
}

export function clock(ms: number, seconds = false): string {
  return new Intl.DateTimeFormat(locale(), {
    timeZone: timeZone(),
    hour: "2-digit",
    minute: "2-digit",
    second: seconds ? "2-digit" : undefined,
    hourCycle: "h23",
  }).format(ms);
}

export function day(ms: number): string {
  return new Intl.DateTimeFormat(locale(), { timeZone: timeZone(), day: "numeric", month: "short", year: "numeric" })
    .format(ms)
    .replaceAll(" de ", " ");
}

export function dayAndClock(ms: number): string {
  return new Intl.DateTimeFormat(locale(), {
    timeZone: timeZone(),
    day: "2-digit",
    month: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  }).format(ms);
}

/** 40 s, 12 min, 3 h */
export function age(seconds: number): string {
  const [value, unit] = seconds < 90 ? [seconds, "s"] : seconds < 5400 ? [seconds / 60, "min"] : [seconds / 3600, "h"];
  return `${number(Math.max(0, Math.round(value as number)), 0)}\u00a0${unit}`;
}

/** Puts values into a text's {names}: texts come from the templates, where they are translated. */
export function fill(text: string, values: Record<string, string | number>): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => (name in values ? String(values[name]) : whole));
}
