// One connection per browser: browsers allow six to a host over HTTP/1.1, so each tab must not hold its own.
//
// The tab that holds the Web Lock is the leader: it listens to the server and repeats what it hears on a
// BroadcastChannel. The others listen to the channel. When the leader's tab closes, the lock passes on by itself;
// when it falls silent (frozen by the browser), a follower takes the lock away from it.
import type { Frame, Reset } from "./city";
import { Picture } from "./picture";

const SILENCE_MS = 60_000; // the server beats at least each 10 s; the leader repeats its state each 5 s
const RETRY_MS = [1000, 2000, 5000, 10_000, 20_000];

type Message =
  | { kind: "reset"; data: Reset; to?: string }
  | { kind: "frame"; data: Frame; cursor: string }
  | { kind: "beat"; data: { t: number } }
  | { kind: "link"; up: boolean; since: number | null }
  | { kind: "hello"; from: string };

export interface Listener {
  reset(picture: Reset): void;
  frame(frame: Frame): void;
  beat(t: number): void;
  link(up: boolean, since: number | null): void;
}

export class Relay {
  readonly picture = new Picture();
  #url: string;
  #listener: Listener;
  #name: string;
  #me = crypto.randomUUID?.() ?? String(Math.random());
  #channel: BroadcastChannel | null = null;
  #source: EventSource | null = null;
  #release: (() => void) | null = null;
  #stop = new AbortController();
  #failures = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #watch: ReturnType<typeof setInterval> | undefined;
  #heard = Date.now();
  #up = false;
  #since: number | null = null;
  #lastId = "";

  constructor(url: string, listener: Listener) {
    this.#url = url;
    this.#listener = listener;
    this.#name = `amb247:${url}`;
  }

  get leads(): boolean {
    return this.#source !== null || this.#retry !== undefined;
  }

  start(): void {
    if (!navigator.locks || !window.BroadcastChannel) return this.#alone();
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = (event: MessageEvent<Message>) => this.#hear(event.data);
    this.#channel.postMessage({ kind: "hello", from: this.#me } satisfies Message);
    this.#queue(false);
    this.#watch = setInterval(() => this.#check(), 5000);
  }

  stop(): void {
    this.#stop.abort();
    clearInterval(this.#watch);
    this.#resign();
    this.#channel?.close();
    this.#channel = null;
  }

  /** Plain http or an old browser has no locks: each tab connects by itself, but only while it is seen. */
  #alone(): void {
    this.#open();
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#resign() : this.#open()), { signal: this.#stop.signal });
  }

  #queue(steal: boolean): void {
    const lead = () => {
      if (this.#stop.signal.aborted) return;
      this.#open();
      return new Promise<void>((release) => (this.#release = release));
    };
    const options = steal ? { steal: true } : { signal: this.#stop.signal };
    navigator.locks.request(this.#name, options, lead).catch(() => {
      // The page is going away, or a tab that heard nothing from us took the lead: follow it.
      if (this.#stop.signal.aborted) return;
      this.#resign();
      this.#queue(false);
    });
  }

  #check(): void {
    if (this.leads) this.#tell({ kind: "link", up: this.#up, since: this.#since });
    else if (Date.now() - this.#heard > SILENCE_MS) {
      this.#heard = Date.now();
      this.#queue(true);
    }
  }

  #resign(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#source?.close();
    this.#source = null;
    this.#release?.();
    this.#release = null;
  }

  #open(): void {
    if (this.#source) return;
    const address = new URL(this.#url, location.href);
    // EventSource resumes by itself with Last-Event-ID; a new one (other tab, server restart) can only ask this way.
    if (this.#lastId) address.searchParams.set("last_event_id", this.#lastId);
    const source = new EventSource(address);
    this.#source = source;
    const on = <T>(name: string, take: (data: T, id: string) => void) =>
      source.addEventListener(name, (event) => {
        this.#lastId = event.lastEventId || this.#lastId;
        this.#failures = 0;
        this.#link(true);
        take(JSON.parse(event.data) as T, event.lastEventId);
      });
    on<Reset>("reset", (data) => this.#take({ kind: "reset", data }));
    on<Frame>("frame", (data, cursor) => this.#take({ kind: "frame", data, cursor }));
    on<{ t: number }>("beat", (data) => this.#take({ kind: "beat", data }));
    source.onerror = () => {
      this.#link(false);
      if (source.readyState === EventSource.CLOSED) this.#again(source);
    };
  }

  /** The browser gave up (an HTTP error): try again, ever more slowly, each tab at its own moment. */
  #again(source: EventSource): void {
    if (source !== this.#source) return;
    source.close();
    this.#source = null;
    const wait = RETRY_MS[Math.min(this.#failures++, RETRY_MS.length - 1)]! * (0.75 + Math.random() / 2);
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.#open();
    }, wait);
  }

  #link(up: boolean): void {
    if (up === this.#up && (up || this.#since !== null)) return;
    this.#up = up;
    this.#since = up ? null : Date.now();
    this.#take({ kind: "link", up, since: this.#since });
  }

  /** From the server: for this tab and for the others. */
  #take(message: Message): void {
    this.#show(message);
    this.#tell(message);
  }

  #tell(message: Message): void {
    this.#channel?.postMessage(message);
  }

  /** From another tab. */
  #hear(message: Message): void {
    if (message.kind === "hello") {
      if (!this.leads || this.picture.empty) return;
      this.#tell({ kind: "reset", data: this.picture.whole(), to: message.from });
      this.#tell({ kind: "link", up: this.#up, since: this.#since });
      return;
    }
    this.#heard = Date.now();
    if (this.leads) return; // two leaders for a moment, while one takes over
    if (message.kind === "reset" && message.to && message.to !== this.#me) return;
    if (message.kind === "frame" && this.picture.empty) return; // the picture is on its way
    this.#show(message);
  }

  #show(message: Message): void {
    if (message.kind === "reset") {
      this.picture.reset(message.data);
      this.#lastId = message.data.cursor ?? this.#lastId;
      this.#listener.reset(message.data);
    } else if (message.kind === "frame") {
      this.picture.frame(message.data, message.cursor);
      this.#lastId = message.cursor || this.#lastId;
      this.#listener.frame(message.data);
    } else if (message.kind === "beat") {
      this.picture.beat(message.data.t);
      this.#listener.beat(message.data.t);
    } else if (message.kind === "link") {
      this.#up = message.up;
      this.#since = message.since;
      this.#listener.link(message.up, message.since);
    }
  }
}
