// The state of the control centre lives in the page's address.

export function query(name: string): string {
  return new URLSearchParams(location.search).get(name) ?? "";
}

/** Changes parts of the query; an empty value removes the part. `push` leaves a step for the Back button. */
export function setQuery(changes: Record<string, string | null>, push = false): void {
  const address = new URL(location.href);
  for (const [name, value] of Object.entries(changes)) {
    if (value) address.searchParams.set(name, value);
    else address.searchParams.delete(name);
  }
  // Colons and commas are legal in a query: keep the address readable.
  address.search = address.searchParams.toString().replaceAll("%3A", ":").replaceAll("%2C", ",");
  if (address.href === location.href) return;
  if (push) history.pushState(null, "", address);
  else history.replaceState(null, "", address);
}
