"""From a table's bytes to rows of text: encodings, line ends, separators and quotes as they really come."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field

import polars as pl

from amb247.mobility.data import Finding, Sample

SAMPLES = 5
ROW = "__row"


class NoTable(Exception):
    """The bytes hold no table; the finding says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.code)
        self.finding = finding


@dataclass
class RawTable:
    """One file as rows of text, plus the row's index in column `__row` and where each row stands in the file."""

    file: str
    frame: pl.DataFrame
    findings: list[Finding] = field(default_factory=list)
    refused: int = 0
    text: bytes = b""
    lines: list[int] | None = None  # line of each row when it is not simply row + 2

    def line(self, row: int) -> int:
        if self.lines is None:
            has_plain_lines = self.text.rstrip(b"\r\n").count(b"\n") == self.frame.height
            self.lines = [] if has_plain_lines else list(_row_lines(self.text))
        return self.lines[row] if row < len(self.lines) else row + 2


def read_table(file: str, content: bytes) -> RawTable:
    """Rows of text of one GTFS table.

    Parameters
    ----------
    file : str         its name, for the findings
    content : bytes    as it is in the zip

    Returns
    -------
    RawTable     header names trimmed, in lower case; rows of nothing but blanks left out; `refused` counts the
                 rows that could not be cut into fields

    Raises
    ------
    NoTable      empty, or not separated by commas
    """
    text, findings = _decoded(file, content)
    if not text.strip():
        raise NoTable(Finding("empty_file", "fatal", file))
    header = text.partition(b"\n")[0]
    if (separator := _foreign_separator(header)) is not None:
        sample = (Sample(1, header.decode("utf-8", "replace").strip()[:120]),)
        raise NoTable(Finding("wrong_separator", "fatal", file, samples=sample, detail=separator))
    table = _fast(file, text) or _patient(file, text)
    table.findings[:0] = findings
    table.text = text
    _tidy_header(table)
    columns = [name for name in table.frame.columns if name != ROW]
    is_blank = pl.all_horizontal(pl.col(columns).is_null())
    if table.frame.select(is_blank.any()).item():
        table.line(0)  # before rows go
        table.lines = table.lines or list(range(2, table.frame.height + 2))
        table.frame = table.frame.filter(~is_blank)
    return table


def _decoded(file: str, content: bytes) -> tuple[bytes, list[Finding]]:
    """UTF-8 bytes with plain line ends, and notes on what had to be changed."""
    findings = []
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        content = content.decode("utf-16", "replace").encode()
        findings.append(Finding("other_encoding", "note", file, detail="UTF-16"))
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        value = content[max(0, error.start - 20) : error.start + 10].decode("latin-1")
        findings.append(
            Finding("other_encoding", "note", file, samples=(Sample(line, value),), detail="Latin-1")
        )
        content = content.decode("cp1252", "replace").encode()
    if b"\x00" in content:
        findings.append(Finding("null_bytes", "note", file, count=content.count(b"\x00")))
        content = content.replace(b"\x00", b"")
    if b"\n" not in content and b"\r" in content:
        content = content.replace(b"\r", b"\n")
    return content, findings


def _foreign_separator(header: bytes) -> str | None:
    if b"," in header:
        return None
    return next((mark for mark in (";", "\t", "|") if mark.encode() in header), None)


def _fast(file: str, text: bytes) -> RawTable | None:
    """By polars; None when rows are not as even as it wants them, or quotes stand after a blank."""
    if b', "' in text:
        return None
    try:
        frame = pl.read_csv(text, infer_schema=False)
    except pl.exceptions.PolarsError:
        return None
    return RawTable(file, frame.with_row_index(ROW))


def _patient(file: str, text: bytes) -> RawTable:
    """Row by row, naming those that cannot be cut into the header's fields."""
    records = _records(text.decode())
    _, header, _ = next(records, (1, None, ""))
    header = _unique([name.strip() for name in header or []])
    rows: list[list[str | None]] = []
    lines: list[int] = []
    unclosed: list[Sample] = []
    too_many: list[Sample] = []
    for line, record, raw in records:
        if record is None:
            unclosed.append(Sample(line, raw[:120]))
        elif len(record) > len(header) and any(value.strip() for value in record[len(header) :]):
            too_many.append(Sample(line, raw[:120]))
        else:
            cut = [value or None for value in record[: len(header)]]
            rows.append(cut + [None] * (len(header) - len(cut)))
            lines.append(line)
    frame = pl.DataFrame(rows, schema=dict.fromkeys(header, pl.String), orient="row")
    findings = [
        Finding(code, "rows", file, count=len(samples), samples=tuple(samples[:SAMPLES]))
        for code, samples in (("unclosed_quote", unclosed), ("too_many_fields", too_many))
        if samples
    ]
    refused = len(unclosed) + len(too_many)
    return RawTable(file, frame.with_row_index(ROW), findings, refused, lines=lines)


def _records(text: str, *, longest: int = 20) -> Iterator[tuple[int, list[str] | None, str]]:
    """(line, fields, raw) of each record; fields is None where a quote is opened and not closed within 20 lines."""
    physical = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    at = 0
    while at < len(physical):
        end = at + 1
        raw = physical[at]
        if raw.count('"') % 2:
            while end < len(physical) and end - at < longest and raw.count('"') % 2:
                raw += "\n" + physical[end]
                end += 1
            if raw.count('"') % 2:
                yield at + 1, None, physical[at]
                at += 1
                continue
        try:
            yield at + 1, next(csv.reader(io.StringIO(raw, newline=""), skipinitialspace=True), []), raw
        except csv.Error:
            yield at + 1, None, physical[at]
        at = end


def _row_lines(text: bytes) -> Iterator[int]:
    for number, (line, record, _) in enumerate(_records(text.decode())):
        if number and record is not None:
            yield line


def _unique(names: list[str]) -> list[str]:
    seen: dict[str, int] = {}
    unique = []
    for name in names:
        seen[name] = seen.get(name, -1) + 1
        unique.append(f"{name}_duplicated_{seen[name] - 1}" if seen[name] else name)
    return unique


def _tidy_header(table: RawTable) -> None:
    names = [name for name in table.frame.columns if name != ROW]
    tidy = _unique([name.strip().strip('"').strip().lower() for name in names])
    table.frame = table.frame.rename(dict(zip(names, tidy, strict=True)))
    if repeated := [name for name in tidy if "_duplicated_" in name]:
        samples = tuple(Sample(1, name.partition("_duplicated_")[0]) for name in repeated[:SAMPLES])
        table.findings.append(
            Finding("repeated_column", "note", table.file, count=len(repeated), samples=samples)
        )
        table.frame = table.frame.drop(repeated)
