"""SQL of the aggregated temporal evolution. Every statement gives the same columns (`COLUMNS`), by entity, attribute,
datasetId and period."""

from __future__ import annotations

from collections.abc import Sequence

from amb247.context.domain.queries import evolution_sql as sql
from amb247.context.querying.temporal import TemporalQuery

# What a row's value is; 1 to 3, 6 and 12 count as numbers, 4 to 6 as texts.
CODE = """CASE WHEN h.num IS NOT NULL THEN 1 ELSE CASE h.instance->>'type'
    WHEN 'Property' THEN CASE jsonb_typeof(h.instance->'value')
        WHEN 'number' THEN 1 WHEN 'boolean' THEN 2 WHEN 'array' THEN 3 WHEN 'string' THEN 4
        ELSE CASE h.instance->'value'->>'@type' WHEN 'DateTime' THEN 5 WHEN 'Date' THEN 5 WHEN 'Time' THEN 6 ELSE 7 END
        END
    WHEN 'Relationship' THEN 8 WHEN 'GeoProperty' THEN 9 WHEN 'LanguageProperty' THEN 10 WHEN 'VocabProperty' THEN 11
    WHEN 'ListProperty' THEN 12 WHEN 'ListRelationship' THEN 13 WHEN 'JsonProperty' THEN 14 ELSE 7 END END"""
CLOCK = "'^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,6})?Z?$'"
NUMBER = f"""CASE WHEN h.num IS NOT NULL THEN h.num ELSE CASE h.instance->>'type'
    WHEN 'Property' THEN CASE jsonb_typeof(h.instance->'value')
        WHEN 'number' THEN (h.instance->>'value')::float8
        WHEN 'boolean' THEN (h.instance->>'value')::boolean::int
        WHEN 'array' THEN jsonb_array_length(h.instance->'value')
        WHEN 'object' THEN CASE WHEN h.instance->'value'->>'@type' = 'Time' AND h.instance->'value'->>'@value' ~ {CLOCK}
            THEN extract(epoch FROM rtrim(h.instance->'value'->>'@value', 'Z')::time) END END
    WHEN 'ListProperty' THEN jsonb_array_length(h.instance->'valueList') END END::float8"""
TEXT = """CASE WHEN h.num IS NULL AND h.instance->>'type' = 'Property' THEN CASE jsonb_typeof(h.instance->'value')
    WHEN 'string' THEN h.instance->>'value'
    WHEN 'object' THEN CASE WHEN h.instance->'value'->>'@type' IN ('DateTime', 'Date', 'Time')
        THEN h.instance->'value'->>'@value' END END END COLLATE "C\""""
WHATEVER = (
    "coalesce(h.instance->'value', h.instance->'object', h.instance->'languageMap', h.instance->'vocab',"
    " h.instance->'valueList', h.instance->'objectList', h.instance->'json')"
)
DISTINCT = f"count(DISTINCT h.num) + count(DISTINCT {WHATEVER}) FILTER (WHERE h.num IS NULL)"
COLUMNS = (
    "code",
    "c",
    "n",
    "distinct_n",
    "total",
    "spread",
    "squares",
    "low",
    "high",
    "low_text",
    "high_text",
)


def aggregates(
    temporal: TemporalQuery,
    attributes: Sequence[str] | None,
    dataset_ids: Sequence[str],
    *,
    has_edges: bool,
    from_hours: bool,
) -> str:
    """The whole statement; parameters as `aggregation._rows` gives them."""
    head = f"WITH RECURSIVE {sql.series(temporal, attributes)}"
    if sql.state_times(temporal):
        text = f"{head}, figures AS ({_with_state(temporal, attributes, dataset_ids, has_edges)})"
    elif from_hours:
        text = f"{head}, {_from_hours(temporal, has_edges)}"
    else:
        text = (
            f"{head}, figures AS (SELECT s.id, s.attribute, x.* FROM series s CROSS JOIN LATERAL ("
            f"{_grouped(temporal, has_edges, dataset_ids)}) x)"
        )
    time = sql.time_of(temporal)
    is_whole = temporal.period.is_whole

    def edge(way: str) -> str:
        if sql.state_times(temporal):  # what lives in the state alone may be the first or the last of all
            return "f.first_t" if way == "ASC" else "f.last_t"
        return (
            f"(SELECT {time} FROM context_history h WHERE h.entity_id = f.id AND h.attribute = f.attribute"
            f" AND h.dataset_id = f.dataset_id AND {sql.within(temporal)} ORDER BY {time} {way} LIMIT 1)"
        )

    first = edge("ASC") if is_whole and temporal.start is None else "NULL"
    last = edge("DESC") if is_whole and temporal.end is None else "NULL"
    return (
        f"{text} SELECT f.id, f.attribute, f.dataset_id, f.bucket::text, {', '.join(f'f.{name}' for name in COLUMNS)},"
        f" {first}, {last} FROM figures f ORDER BY f.id, f.attribute, f.dataset_id, f.bucket LIMIT %(limit)s"
    )


def _bucket(temporal: TemporalQuery, has_edges: bool, time: str) -> str:
    if has_edges:
        return f"(%(edges)s::timestamptz[])[width_bucket({time}, %(edges)s::timestamptz[])]"
    if temporal.period.is_whole:
        return "NULL::timestamptz"
    return f"date_bin(%(period)s::interval, {time}, %(origin)s::timestamptz)"


def _measures(temporal: TemporalQuery) -> str:
    """Only what the methods need: each more costs some milliseconds for 100,000 rows."""
    methods = set(temporal.methods)
    has_text = methods & {"min", "max"}
    deviates = methods & {"stddev", "sumsq"}
    parts = {
        "code": f"min({CODE})",
        "c": "count(*)",
        "n": f"count({NUMBER})" if methods & {"avg", "stddev", "sumsq"} else "0",
        "distinct_n": DISTINCT if "distinctCount" in methods else "0",
        "total": f"sum({NUMBER})" if methods & {"sum", "avg", "stddev", "sumsq"} else "NULL::float8",
        "spread": f"var_pop({NUMBER}) * count({NUMBER})" if deviates else "NULL::float8",
        "squares": f"sum(({NUMBER}) * ({NUMBER}))" if "sumsq" in methods else "NULL::float8",
        "low": f"min({NUMBER})" if "min" in methods else "NULL::float8",
        "high": f"max({NUMBER})" if "max" in methods else "NULL::float8",
        "low_text": f"min({TEXT})" if has_text else "NULL::text",
        "high_text": f"max({TEXT})" if has_text else "NULL::text",
    }
    return ", ".join(f"{parts[name]} AS {name}" for name in COLUMNS)


def _grouped(
    temporal: TemporalQuery,
    has_edges: bool,
    dataset_ids: Sequence[str] = (),
    *,
    owner: str = "s",
    also: str = "",
) -> str:
    """The figures of one series (alias `owner`) by datasetId and period, from the history."""
    of_datasets = " AND h.dataset_id = ANY(%(datasets)s)" if dataset_ids else ""
    return (
        f"SELECT h.dataset_id, {_bucket(temporal, has_edges, sql.time_of(temporal))} AS bucket, {_measures(temporal)}"
        f" FROM context_history h WHERE h.entity_id = {owner}.id AND h.attribute = {owner}.attribute"
        f" AND {sql.within(temporal)}{of_datasets}{also} GROUP BY 1, 2"
    )


def _with_state(
    temporal: TemporalQuery, attributes: Sequence[str] | None, dataset_ids: Sequence[str], has_edges: bool
) -> str:
    """The same from history and state together."""
    of_datasets = " AND h.dataset_id = ANY(%(datasets)s)" if dataset_ids else ""
    return (
        f"SELECT h.id, h.attribute, h.dataset_id, {_bucket(temporal, has_edges, 'h.t')} AS bucket, {_measures(temporal)},"
        f" min(h.t) AS first_t, max(h.t) AS last_t FROM (SELECT s.id, s.attribute, x.* FROM series s CROSS JOIN LATERAL ("
        f"SELECT {sql.time_of(temporal)} AS t, h.dataset_id, h.num, h.instance FROM context_history h"
        f" WHERE h.entity_id = s.id AND h.attribute = s.attribute AND {sql.within(temporal)}{of_datasets}) x"
        " UNION ALL SELECT u.id, u.attribute, u.t, u.dataset_id, NULL, u.instance"
        f" FROM ({sql.unrecorded(temporal, attributes, dataset_ids)}) u) h GROUP BY 1, 2, 3, 4"
    )


def _from_hours(temporal: TemporalQuery, has_edges: bool) -> str:
    """Hourly figures, and from the history what they do not hold, put together.

    `skip`: hours of the interval that are to be read from the history for every series. A series without any hourly figure
    of numbers is read from the history altogether: it may be of another kind, or older than the rows without numbers.
    The hours of a series lie scattered, so they are looked at once.
    """
    lasting = "k.hour >= %(first_hour)s" if temporal.start is not None else "true"
    lasting += " AND k.hour < %(end_hour)s" if temporal.end is not None else ""
    deviates = bool({"stddev", "sumsq"} & set(temporal.methods))
    between = " AND h.at >= o.since AND h.at < o.until"
    rolled = _rolled(_bucket(temporal, has_edges, "k.hour"), lasting, deviates=deviates)
    return (
        f"skip AS MATERIALIZED (SELECT k.hour FROM context_dirty_hour k WHERE {lasting}"
        " UNION SELECT unnest(%(extra)s::timestamptz[])),"
        " gaps AS (SELECT min(hour) AS since, max(hour) + interval '1 hour' AS until FROM (SELECT hour,"
        " hour - row_number() OVER (ORDER BY hour) * interval '1 hour' AS island FROM skip) numbered GROUP BY island),"
        " rolled AS MATERIALIZED ("
        f"SELECT s.id, s.attribute, k.* FROM series s CROSS JOIN LATERAL ({rolled}) k WHERE s.attribute IS NOT NULL),"
        " numeric AS MATERIALIZED (SELECT id, attribute FROM rolled GROUP BY 1, 2 HAVING bool_or(has_numbers)),"
        f" parts AS (SELECT k.id, k.attribute, '' AS dataset_id, k.bucket, {', '.join(f'k.{name}' for name in COLUMNS)}"
        " FROM rolled k WHERE k.c > 0"
        " UNION ALL SELECT o.id, o.attribute, x.* FROM ("
        " SELECT s.id, s.attribute, g.since, g.until FROM numeric s CROSS JOIN gaps g"
        " UNION ALL SELECT s.id, s.attribute, odd.hour, odd.hour + interval '1 hour' FROM rolled s"
        " JOIN numeric USING (id, attribute) CROSS JOIN LATERAL unnest(s.odd) odd (hour)"
        f") o CROSS JOIN LATERAL ({_grouped(temporal, has_edges, owner='o', also=between)}) x"
        " UNION ALL SELECT s.id, s.attribute, x.* FROM series s CROSS JOIN LATERAL ("
        f"{_grouped(temporal, has_edges)}) x WHERE (s.id, s.attribute) NOT IN (SELECT id, attribute FROM numeric)),"
        f" figures AS ({_joined(deviates=deviates)})"
    )


def _rolled(bucket: str, lasting: str, *, deviates: bool) -> str:
    """The figures of one series by period from its hours outside of `skip`, and its hours that are of no use (`odd`)."""
    lacking = "k.n = 0 OR k.plain IS FALSE" + (" OR k.spread IS NULL" if deviates else "")
    source = (
        f"SELECT {bucket} AS bucket, k.hour, k.n, k.total, k.spread, k.minimum, k.maximum, ({lacking}) AS is_odd"
        " FROM context_hour k WHERE k.entity_id = s.id AND k.attribute = s.attribute"
        f" AND {lasting} AND k.hour NOT IN (SELECT hour FROM skip)"
    )
    good = " FILTER (WHERE NOT k.is_odd)"
    if deviates:
        mean = f"sum(k.total){good} OVER same / nullif(sum(k.n){good} OVER same, 0)"
        source = f"SELECT *, {mean} AS mean FROM ({source}) k WINDOW same AS (PARTITION BY bucket)"
    values = {
        "code": "1",
        "c": f"sum(k.n){good}::bigint",
        "n": f"sum(k.n){good}::bigint",
        "distinct_n": "0",
        "total": f"sum(k.total){good}",
        "spread": f"{SPREAD}{good}" if deviates else "NULL::float8",
        "squares": f"sum(k.spread + k.total * k.total / k.n){good}" if deviates else "NULL::float8",
        "low": f"min(k.minimum){good}",
        "high": f"max(k.maximum){good}",
        "low_text": "NULL::text",
        "high_text": "NULL::text",
    }
    measures = ", ".join(f"{values[name]} AS {name}" for name in COLUMNS)
    return (
        f"SELECT k.bucket, {measures}, bool_or(k.n > 0) AS has_numbers, array_agg(k.hour) FILTER (WHERE k.is_odd) AS odd"
        f" FROM ({source}) k GROUP BY 1"
    )


# Deviations from the means of parts become those from the mean of all without the loss of digits that squares bring.
SPREAD = "sum(k.spread + k.n * (k.total / nullif(k.n, 0) - k.mean) * (k.total / nullif(k.n, 0) - k.mean))"


def _joined(*, deviates: bool) -> str:
    source = "parts"
    if deviates:
        source = (
            "(SELECT *, sum(k.total) OVER same / nullif(sum(k.n) OVER same, 0) AS mean FROM parts k"
            " WINDOW same AS (PARTITION BY id, attribute, dataset_id, bucket))"
        )
    values = {
        "code": "min(k.code)",
        "c": "sum(k.c)::bigint",
        "n": "sum(k.n)::bigint",
        "distinct_n": "0",
        "total": "sum(k.total)",
        "spread": SPREAD if deviates else "NULL::float8",
        "squares": "sum(k.squares)",
        "low": "min(k.low)",
        "high": "max(k.high)",
        "low_text": "min(k.low_text)",
        "high_text": "max(k.high_text)",
    }
    measures = ", ".join(f"{values[name]} AS {name}" for name in COLUMNS)
    return f"SELECT k.id, k.attribute, k.dataset_id, k.bucket, {measures} FROM {source} k GROUP BY 1, 2, 3, 4"
