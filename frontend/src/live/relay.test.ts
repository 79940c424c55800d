import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Frame, Reset } from "./city";
import { Relay } from "./relay";

// A browser in miniature: locks that queue, channels that reach all others, sources that we make speak.
class Channel {
  static all: Channel[] = [];
  onmessage: ((event: { data: unknown }) => void) | null = null;
  constructor(readonly name: string) {
    Channel.all.push(this);
  }
  postMessage(data: unknown): void {
    for (const other of Channel.all) if (other !== this && other.name === this.name) other.onmessage?.({ data });
  }
  close(): void {
    Channel.all = Channel.all.filter((other) => other !== this);
  }
}

class Source extends EventTarget {
  static CLOSED = 2;
  static open: Source[] = [];
  readyState = 1;
  onerror: (() => void) | null = null;
  constructor(readonly url: URL) {
    super();
    Source.open.push(this);
  }
  close(): void {
    this.readyState = 2;
    Source.open = Source.open.filter((other) => other !== this);
  }
  say(name: string, data: unknown, id = ""): void {
    this.dispatchEvent(new MessageEvent(name, { data: JSON.stringify(data), lastEventId: id }));
  }
}

let queue: (() => Promise<void> | undefined)[] = [];
let busy = false;
const next = async (): Promise<void> => {
  if (busy) return;
  const lead = queue.shift();
  if (!lead) return;
  busy = true;
  await lead();
  busy = false;
  void next();
};
const locks = {
  request: (_name: string, _options: object, lead: () => Promise<void> | undefined) => {
    queue.push(lead);
    void next();
    return Promise.resolve();
  },
};

const reset: Reset = {
  t: 1000, cursor: "7-1", counts: { vehicle: { ok: 1 } }, alerts: [],
  vehicles: [[1, "Vehicle:x:1", -73.1, 7.1, "ok", 90, "P1"]],
};
const frame: Frame = {
  t: 2000, at: 1900, counts: { vehicle: { ok: 2 } }, vehicles: [[2, "Vehicle:x:2", -73.2, 7.2, "ok", null, "P2"]],
};

const listener = () => ({ reset: vi.fn(), frame: vi.fn(), beat: vi.fn(), link: vi.fn() });
const tick = () => new Promise((done) => setTimeout(done));

beforeEach(() => {
  Object.assign(globalThis, { BroadcastChannel: Channel, EventSource: Source });
  Object.assign(window, { BroadcastChannel: Channel });
  Object.defineProperty(navigator, "locks", { value: locks, configurable: true });
});

afterEach(() => {
  Channel.all = [];
  Source.open = [];
  queue = [];
  busy = false;
});

test("two tabs share one connection, and both hear the city", () => {
  const [a, b] = [listener(), listener()];
  const [first, second] = [new Relay("/events/city", a), new Relay("/events/city", b)];
  first.start();
  second.start();
  expect(Source.open).toHaveLength(1);
  Source.open[0]!.say("reset", reset, "7-1");
  Source.open[0]!.say("frame", frame, "7-2");
  for (const tab of [a, b]) {
    expect(tab.reset).toHaveBeenCalledWith(reset);
    expect(tab.frame).toHaveBeenCalledWith(frame);
    expect(tab.link).toHaveBeenLastCalledWith(true, null);
  }
  first.stop();
  second.stop();
});

test("a tab that arrives late is given the whole picture", () => {
  const first = new Relay("/events/city", listener());
  first.start();
  Source.open[0]!.say("reset", reset, "7-1");
  Source.open[0]!.say("frame", frame, "7-2");
  const late = listener();
  const second = new Relay("/events/city", late);
  second.start();
  const picture = late.reset.mock.calls[0]![0] as Reset;
  expect(picture.vehicles.map((row) => row[0])).toEqual([1, 2]);
  expect(picture.cursor).toBe("7-2");
  first.stop();
  second.stop();
});

test("when the leading tab closes, the next one connects and says where it was", async () => {
  const first = new Relay("/events/city", listener());
  const second = new Relay("/events/city", listener());
  first.start();
  second.start();
  Source.open[0]!.say("reset", reset, "7-1");
  Source.open[0]!.say("frame", frame, "7-2");
  first.stop();
  await tick();
  expect(Source.open).toHaveLength(1);
  expect(Source.open[0]!.url.searchParams.get("last_event_id")).toBe("7-2");
  second.stop();
});

test("a lost connection has a time, kept until it is back", () => {
  const tab = listener();
  const relay = new Relay("/events/city", tab);
  relay.start();
  const source = Source.open[0]!;
  source.say("reset", reset);
  source.readyState = 0; // the browser itself tries again
  source.onerror?.();
  const [up, since] = tab.link.mock.lastCall as [boolean, number];
  expect(up).toBe(false);
  expect(since).toBeGreaterThan(0);
  source.onerror?.();
  expect(tab.link.mock.lastCall).toEqual([false, since]);
  source.say("beat", { t: 3000 });
  expect(tab.link).toHaveBeenLastCalledWith(true, null);
  relay.stop();
});

test("without locks each tab connects by itself", () => {
  Object.defineProperty(navigator, "locks", { value: undefined, configurable: true });
  Reflect.deleteProperty(navigator, "locks");
  const relay = new Relay("/events/city", listener());
  relay.start();
  expect(Source.open).toHaveLength(1);
  relay.stop();
  expect(Source.open).toHaveLength(0);
});
