from __future__ import annotations

import json
from pathlib import Path

import pytest

from amb247.territory.adapters.geojson import reading
from amb247.territory.errors import FileRefused

pytestmark = pytest.mark.unit

FEATURE = {"type": "Feature", "properties": {}, "geometry": None}
WHOLE = json.dumps({"type": "FeatureCollection", "features": [FEATURE]}).encode()


def written(folder: Path, content: bytes | object) -> Path:
    path = folder / "areas.geojson"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


@pytest.mark.parametrize("content", [WHOLE, b"\xef\xbb\xbf" + WHOLE, json.dumps(FEATURE).encode()])
def test_a_collection_a_mark_and_a_single_feature_are_read(tmp_path, content):
    assert reading.read_collection(written(tmp_path, content)) == [FEATURE]


@pytest.mark.parametrize(
    "crs",
    ["urn:ogc:def:crs:OGC:1.3:CRS84", "EPSG:4326", "urn:ogc:def:crs:EPSG::4326", "EPSG:4686"],
)
def test_degrees_under_any_name_are_read(tmp_path, crs):
    document = {
        "type": "FeatureCollection",
        "crs": {"type": "name", "properties": {"name": crs}},
        "features": [FEATURE],
    }
    assert reading.read_collection(written(tmp_path, document)) == [FEATURE]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "vacío"),
        (b"  \n ", "vacío"),
        (b"hola", "no es JSON"),
        (WHOLE[:-10], "cortado"),
        (WHOLE[: len(WHOLE) // 2], "cortado"),
        (b"PK\x03\x04zip", "ZIP"),
        (b"\x1f\x8b\x08gzip", "GZIP"),
        (b"SQLite format 3\x00", "GeoPackage"),
        ('{"name": "Girón"}'.encode("latin-1"), "UTF-8"),
        (b'{"type": "FeatureCollection", "features": [NaN]}', "no es JSON"),
        (b"[" * 100_000, "JSON|cortado"),
        ([1, 2], "no GeoJSON"),
        ("text", "no GeoJSON"),
        ({"type": "Topology"}, "TopoJSON"),
        ({"type": "Polygon", "coordinates": []}, "FeatureCollection"),
        ({}, "FeatureCollection"),
        ({"type": "FeatureCollection"}, "features"),
        ({"type": "FeatureCollection", "features": {}}, "features"),
        ({"type": "FeatureCollection", "features": []}, "ningún"),
        (
            {"type": "FeatureCollection", "features": [1], "crs": {"properties": {"name": "EPSG:3116"}}},
            "EPSG:4326",
        ),
        ({"type": "FeatureCollection", "features": [1], "crs": "EPSG:9377"}, "EPSG:4326"),
    ],
)
def test_a_bad_file_is_refused_in_words(tmp_path, content, words):
    with pytest.raises(FileRefused, match=words):
        reading.read_collection(written(tmp_path, content))


def test_the_place_of_the_fault_is_told(tmp_path):
    with pytest.raises(FileRefused, match="línea 3"):
        reading.read_collection(
            written(tmp_path, b'{"type": "FeatureCollection",\n"features": [\n{"a" 1}\n]}')
        )


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "nothing.geojson", tmp_path):
        with pytest.raises(FileRefused):
            reading.read_collection(path)


def test_limits_hold(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "MAX_FEATURES", 1)
    with pytest.raises(FileRefused, match="máximo es 1"):
        reading.read_collection(
            written(tmp_path, {"type": "FeatureCollection", "features": [FEATURE, FEATURE]})
        )
    monkeypatch.setattr(reading, "MAX_BYTES", 10)
    with pytest.raises(FileRefused, match="MB"):
        reading.read_collection(written(tmp_path, WHOLE))
