"""The zip of a GTFS feed: opened with limits, found even one folder down, never trusted about its sizes."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gtfs_parquet.schema import ALL_SCHEMAS

from amb247.mobility.data import Finding, Sample
from amb247.mobility.errors import UnreadableArchive

TABLES: dict[str, str] = {schema.file_name: name for name, schema in ALL_SCHEMAS.items()}


@dataclass(frozen=True)
class Limits:
    """What we refuse to open. A national feed (Germany) has a zip of about 230 MB and 2.5 GB of text."""

    zip_bytes: int = 300_000_000
    text_bytes: int = 1_500_000_000
    members: int = 2_000
    ratio: int = 400  # deflate cannot do better than 1032; the best real stop_times.txt we have is 26
    ratio_from_bytes: int = 20_000_000


@dataclass(frozen=True)
class Archive:
    """The tables' bytes by file name ("stops.txt"), and what was noted on the way."""

    members: Mapping[str, bytes]
    findings: tuple[Finding, ...]
    size_bytes: int
    is_nested: bool

    def digest(self) -> str:
        """sha256 over the sorted members' hashes: packing the same texts again gives the same."""
        whole = hashlib.sha256()
        for name in sorted(self.members):
            whole.update(f"{name}\0{hashlib.sha256(self.members[name]).hexdigest()}\n".encode())
        return whole.hexdigest()


def open_archive(path: Path, *, limits: Limits = Limits()) -> Archive:
    """Read the GTFS tables of a zip.

    Parameters
    ----------
    path : Path       the zip
    limits : Limits   sizes beyond which it is refused

    Returns
    -------
    Archive     only files that GTFS knows; a note for the others, and one when they lie in a folder

    Raises
    ------
    UnreadableArchive    no zip, cut short, encrypted, too large, or a bomb
    """
    size = path.stat().st_size
    if size > limits.zip_bytes:
        raise UnreadableArchive(f"{size} bytes, the limit is {limits.zip_bytes}", reason="too_large")
    try:
        with zipfile.ZipFile(path) as file:
            return _read(file, size=size, limits=limits)
    except zipfile.BadZipFile as error:
        raise UnreadableArchive(str(error), reason=_reason_of_bad_zip(path)) from error
    except (EOFError, OSError, zlib.error, RuntimeError, NotImplementedError, ValueError) as error:
        raise UnreadableArchive(str(error), reason="damaged_zip") from error


def _reason_of_bad_zip(path: Path) -> str:
    """A zip that starts as one but has no directory at its end was cut on the way."""
    with path.open("rb") as file:
        return "truncated_zip" if file.read(4) == b"PK\x03\x04" else "not_a_zip"


def _read(file: zipfile.ZipFile, *, size: int, limits: Limits) -> Archive:
    infos = [info for info in file.infolist() if not info.is_dir()]
    _refuse_by_directory(infos, limits)
    chosen, folder, extra = _choose(infos)
    findings = []
    if folder:
        findings.append(Finding("nested_folder", "note", detail=folder))
    if extra:
        samples = tuple(Sample(None, name) for name in sorted(extra)[:5])
        findings.append(Finding("extra_files", "note", count=len(extra), samples=samples))
    members: dict[str, bytes] = {}
    for name, info in chosen.items():
        try:
            with file.open(info) as stream:
                content = stream.read(info.file_size + 1)
        except zipfile.BadZipFile as error:
            raise UnreadableArchive(f"{info.filename}: {error}", reason="damaged_zip") from error
        if len(content) != info.file_size:
            raise UnreadableArchive(f"{info.filename}: not the size its directory says", reason="damaged_zip")
        members[name] = content
    return Archive(members, tuple(findings), size, is_nested=bool(folder))


def _refuse_by_directory(infos: list[zipfile.ZipInfo], limits: Limits) -> None:
    if len(infos) > limits.members:
        raise UnreadableArchive(f"{len(infos)} files, the limit is {limits.members}", reason="too_many_files")
    if encrypted := next((info for info in infos if info.flag_bits & 0x1), None):
        raise UnreadableArchive(encrypted.filename, reason="encrypted_zip")
    total = sum(info.file_size for info in infos)
    if total > limits.text_bytes:
        raise UnreadableArchive(
            f"{total} bytes unpacked, the limit is {limits.text_bytes}", reason="too_large"
        )
    for info in infos:
        packed = max(info.compress_size, 1)
        if info.file_size > limits.ratio_from_bytes and info.file_size / packed > limits.ratio:
            detail = f"{info.filename}: {packed} bytes unpack to {info.file_size}"
            raise UnreadableArchive(detail, reason="zip_bomb")


def _choose(infos: list[zipfile.ZipInfo]) -> tuple[dict[str, zipfile.ZipInfo], str, list[str]]:
    """The folder that holds the feed (the one with most tables, the outermost first), its tables, and the rest."""
    by_folder: dict[str, dict[str, zipfile.ZipInfo]] = {}
    extra = []
    for info in infos:
        place = PurePosixPath(info.filename.replace("\\", "/"))
        name = place.name.lower()
        folder = "" if str(place.parent) == "." else str(place.parent)
        if name in TABLES and not folder.startswith("__MACOSX"):
            by_folder.setdefault(folder, {})[name] = info
        else:
            extra.append(info.filename)
    if not by_folder:
        names = ", ".join(sorted(info.filename for info in infos)[:5])
        raise UnreadableArchive(names, reason="no_gtfs_files")
    folder = max(by_folder, key=lambda name: (len(by_folder[name]), -name.count("/")))
    for other, members in by_folder.items():
        if other != folder:
            extra.extend(info.filename for info in members.values())
    return by_folder[folder], folder, extra
