from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from factories.mobility import TABLES, gtfs_zip

from amb247.mobility.adapters.gtfs.archive import Limits, open_archive
from amb247.mobility.errors import UnreadableArchive

pytestmark = pytest.mark.unit


def reason(path: Path, limits: Limits | None = None) -> str:
    with pytest.raises(UnreadableArchive) as caught:
        open_archive(path, limits=limits or Limits())
    return caught.value.reason


def test_text_is_not_a_zip(tmp_path):
    path = tmp_path / "feed.zip"
    path.write_text("stop_id,stop_name\n")
    assert reason(path) == "not_a_zip"


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_cut_zip_is_named_as_cut(tmp_path, share):
    whole = gtfs_zip(tmp_path / "whole.zip").read_bytes()
    path = tmp_path / "cut.zip"
    path.write_bytes(whole[: int(len(whole) * share)])
    assert reason(path) == "truncated_zip"


def test_damaged_member_is_refused(tmp_path):
    content = bytearray(gtfs_zip(tmp_path / "feed.zip", compression=zipfile.ZIP_STORED).read_bytes())
    content[content.index(b"Quebradaseca")] ^= 0xFF
    path = tmp_path / "damaged.zip"
    path.write_bytes(content)
    assert reason(path) == "damaged_zip"


def test_encrypted_zip_is_refused(tmp_path):
    content = bytearray(gtfs_zip(tmp_path / "feed.zip").read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path = tmp_path / "locked.zip"
    path.write_bytes(content)
    assert reason(path) == "encrypted_zip"


def test_zip_bomb_is_refused_before_it_is_opened(tmp_path):
    path = gtfs_zip(tmp_path / "bomb.zip", {"shapes.txt": b"0" * 30_000_000})
    assert reason(path) == "zip_bomb"


def test_sizes_beyond_the_limits_are_refused(tmp_path):
    path = gtfs_zip(tmp_path / "feed.zip")
    assert reason(path, Limits(zip_bytes=10)) == "too_large"
    assert reason(path, Limits(text_bytes=10)) == "too_large"
    assert reason(path, Limits(members=2)) == "too_many_files"


def test_zip_of_photos_has_no_gtfs(tmp_path):
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("bus.jpg", b"\xff\xd8")
    assert reason(path) == "no_gtfs_files"


def test_feed_in_a_folder_is_read_and_noted(tmp_path):
    archive = open_archive(gtfs_zip(tmp_path / "feed.zip", folder="gtfs 2026/"))
    assert set(archive.members) == set(TABLES)
    assert [finding.code for finding in archive.findings] == ["nested_folder"]


def test_foreign_files_are_noted(tmp_path):
    archive = open_archive(
        gtfs_zip(tmp_path / "feed.zip", {"Earth.kml": "<kml/>", "__MACOSX/stops.txt": "x"})
    )
    assert [(finding.code, finding.count) for finding in archive.findings] == [("extra_files", 2)]
    assert archive.members["stops.txt"].startswith(b"stop_id")


def test_packing_again_changes_no_digest(tmp_path):
    stored = open_archive(gtfs_zip(tmp_path / "a.zip", compression=zipfile.ZIP_STORED))
    nested = open_archive(gtfs_zip(tmp_path / "b.zip", {"notes.md": "x"}, folder="in/"))
    other = open_archive(gtfs_zip(tmp_path / "c.zip", {"stops.txt": TABLES["stops.txt"] + "\n"}))
    assert stored.digest() == nested.digest()
    assert stored.digest() != other.digest()
