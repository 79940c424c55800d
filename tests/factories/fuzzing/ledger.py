"""What the broker's tables hold: whether a request changed anything, and whether state, history and feed say the same."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import psycopg

from amb247.context.domain.tenants import schema_of

from .asking import BIG

# Written only by requests (and not by the delivery of notifications, by counting, or by reading a remote @context).
# A row's xmin changes with each writing of it and not by being locked, so that no content needs to be read.
BY_ROW = ("context_entity", "context_past", "context_history", "context_change", "context_hour")
BY_CONTENT = {
    "context_subscription": "id, document::text, owner, expires_at, created_at, modified_at",
    "context_registration": "id, document::text, owner, expires_at, created_at, modified_at",
    "context_source_subscription": "id, document::text, owner, expires_at, created_at, modified_at",
}
SHARED = {"context_jsonld": "SELECT count(*), sum(hashtext(id || body)) FROM public.context_jsonld WHERE kind = 'Hosted'",
          "context_tenant": "SELECT count(*), sum(hashtext(name)) FROM public.context_tenant"}  # fmt: skip
STAMPS = ("createdAt", "modifiedAt")

Marks = dict[str, tuple[Any, ...]]


class Ledger:
    """Looks at the tables over a connection of its own."""

    def __init__(self, url: str) -> None:
        self.connection = psycopg.connect(url, autocommit=True, prepare_threshold=1)
        self._tenants: list[str] = []
        self._sql = ""

    def close(self) -> None:
        self.connection.close()

    def schemas(self) -> list[str]:
        rows = self.connection.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname ~ '^tenant[-_]' ORDER BY 1"
        ).fetchall()
        return ["public", *(name for (name,) in rows if name != schema_of(BIG))]  # that is only asked

    def tenants(self) -> list[str]:
        """All but the default one and the one that is only asked."""
        rows = self.connection.execute("SELECT name FROM public.context_tenant").fetchall()
        return [name for (name,) in rows if name != BIG]

    def marks(self) -> Marks:
        """A number or two for each table, which change with any change."""
        known = self.schemas()
        if known != self._tenants:
            self._tenants, self._sql = known, " UNION ALL ".join(self._looks(known))
        return {name: (count, check) for name, count, check in self.connection.execute(self._sql).fetchall()}

    @staticmethod
    def _looks(schemas: list[str]) -> list[str]:
        looks = [f"SELECT '{name}', looked.* FROM ({sql}) looked" for name, sql in SHARED.items()]
        for schema in schemas:
            looks += [
                f"SELECT '{schema}.{table}', count(*), sum(hashint8(xmin::text::bigint)) FROM \"{schema}\".{table}"
                for table in BY_ROW
            ]
            looks += [
                f"SELECT '{schema}.{table}', count(*), sum(hashtext(({columns})::text)) FROM \"{schema}\".{table}"
                for table, columns in BY_CONTENT.items()
            ]
        return looks

    def entities(self, schema: str) -> dict[str, tuple[Any, ...]]:
        """Id -> what tells one writing of the row from the next."""
        rows = self.connection.execute(
            f'SELECT id, version, xmin::text FROM "{schema}".context_entity'
        ).fetchall()
        return {row[0]: row[1:] for row in rows}

    def schema_of(self, tenant: str) -> str:
        return schema_of(tenant) if tenant else "public"

    # --- agreement ----------------------------------------------------------------------------------------------------

    def disagreements(self, schema: str, *, corrected: set[str]) -> list[str]:
        """Where state, history and feed do not say the same.

        Parameters
        ----------
        corrected : ids whose history was changed on purpose since the tables were emptied
        """
        told: dict[str, dict[str, Any]] = {}
        for entity_id, op, kinds, attributes, version in self.connection.execute(
            f'SELECT entity_id, op, type, attributes, version FROM "{schema}".context_change ORDER BY seq'
        ):
            if op == "deleted":
                told[entity_id] = {"version": version, "is_gone": True}
                continue
            before = told.get(entity_id)
            if op == "created" or before is None or before.get("is_gone"):
                told[entity_id] = before = {"version": version, "attributes": {}}
            before |= {"types": kinds, "version": version}
            for name, value in attributes.items():
                if value is None:
                    before["attributes"].pop(name, None)
                else:
                    before["attributes"][name] = value
        found = []
        state = self.connection.execute(
            f'SELECT id, type, doc, version FROM "{schema}".context_entity'
        ).fetchall()
        for entity_id, kinds, doc, version in state:
            last = told.pop(entity_id, None)
            if last is None or last.get("is_gone"):
                found.append(f"{entity_id} is there, and the feed does not say so: {last}")
            elif (last["types"], last["attributes"], last["version"]) != (kinds, doc, version):
                found.append(
                    f"{entity_id}: the feed says {str(last)[:1500]}, the state {str((kinds, doc, version))[:1500]}"
                )
        found += [
            f"{entity_id} is gone, and the feed does not say so"
            for entity_id, last in told.items()
            if not last.get("is_gone")
        ]
        return found + self._history(schema, {row[0]: row[2] for row in state if row[0] not in corrected})

    def _history(self, schema: str, state: dict[str, Any]) -> list[str]:
        """Every observed instance of the state must stand in the history."""
        rows = self.connection.execute(
            "SELECT entity_id, attribute, dataset_id, num, unit, instance, "
            f"to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US') FROM \"{schema}\".context_history WHERE NOT deleted AND observed"
        ).fetchall()
        kept: dict[tuple[str, str, str], list[Any]] = defaultdict(list)
        for entity_id, attribute, dataset, num, unit, instance, at in rows:
            kept[entity_id, attribute, dataset].append((num, unit, instance, at))
        return [
            f"{entity_id} {name}: {str(one)[:500]} is not in the history"
            for entity_id, doc in state.items()
            for name, given in doc.items()
            for one in (given if isinstance(given, list) else [given])
            if "observedAt" in one
            and not any(_is_same(one, row) for row in kept[entity_id, name, one.get("datasetId", "")])
        ]

    def empty(self) -> None:
        """Forget the past that no entity has any more, so that looking stays quick."""
        for schema in self.schemas():
            for table in (
                "context_history",
                "context_past",
                "context_change",
                "context_hour",
                "context_dirty_hour",
            ):
                self.connection.execute(f'DELETE FROM "{schema}".{table}')

    def rows(self) -> dict[str, int]:
        return {name: marks[0] for name, marks in self.marks().items() if marks[0]}


def _is_same(instance: dict[str, Any], row: tuple[Any, ...]) -> bool:
    num, unit, kept, at = row
    given = {key: part for key, part in instance.items() if key not in STAMPS}
    if kept is not None:
        return bool(kept == given)
    return (
        given.get("value") == num
        and given.get("unitCode") == unit
        and at.startswith(given["observedAt"].rstrip("Z")[:19])
    )
