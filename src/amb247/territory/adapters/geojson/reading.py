"""A file as a list of features, or one sentence that says why not. Never a traceback for a bad file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson
from django.utils.translation import gettext as _

from amb247.territory.errors import FileRefused

MAX_BYTES: Final = 200_000_000
MAX_FEATURES: Final = 200_000
# Longitude and latitude in degrees on WGS84, or on MAGNA-SIRGAS, which equals it within a metre
DEGREES: Final = ("CRS84", "4326", "4686", "WGS84", "WGS 84")
SIGNS: Final = {
    b"PK\x03\x04": "ZIP",
    b"\x1f\x8b": "GZIP",
    b"\x00\x00\x27\x0a": "Shapefile (.shp)",
    b"%PDF": "PDF",
    b"SQLite format 3": "GeoPackage",
}


def read_collection(path: Path) -> list[Any]:
    """The features of a GeoJSON file, unchecked.

    Parameters
    ----------
    path : Path
        UTF-8, with or without a byte order mark; at most 200 MB and 200,000 features.

    Returns
    -------
    list
        Whatever `features` holds; each item is still to be checked.

    Raises
    ------
    FileRefused
        Not readable, too large, not JSON, cut short, not a FeatureCollection, empty, or another CRS; the message
        says which and what to do.
    """
    return features_of(_parse(_read(path), path.name), path.name)


def features_of(document: Any, name: str) -> list[Any]:
    """The features of a GeoJSON document that has been read already; same refusals as `read_collection`."""
    if not isinstance(document, Mapping):
        raise FileRefused(
            _("«%(file)s» es JSON, pero no GeoJSON: falta el objeto principal.") % {"file": name}
        )
    kind = document.get("type")
    if kind == "Topology":
        raise FileRefused(
            _("«%(file)s» es TopoJSON. Conviértalo: ogr2ogr -f GeoJSON salida.geojson %(file)s")
            % {"file": name}
        )
    if kind == "Feature":
        document = {"type": "FeatureCollection", "features": [document], "crs": document.get("crs")}
    elif kind != "FeatureCollection":
        raise FileRefused(
            _("«%(file)s» no es una FeatureCollection (type = %(type)s): expórtelo como capa GeoJSON.")
            % {"file": name, "type": str(kind)[:40]}
        )
    features = document.get("features")
    if not isinstance(features, list):
        raise FileRefused(_("«%(file)s» no tiene la lista «features».") % {"file": name})
    if not features:
        raise FileRefused(_("«%(file)s» no contiene ningún elemento.") % {"file": name})
    if len(features) > MAX_FEATURES:
        raise FileRefused(
            _("«%(file)s» tiene %(count)d elementos; el máximo es %(limit)d. Divídalo por municipio.")
            % {"file": name, "count": len(features), "limit": MAX_FEATURES}
        )
    _refuse_other_crs(document.get("crs"), name)
    return features


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise FileRefused(
                _("«%(file)s» pesa %(size)d MB; el máximo es %(limit)d MB. Divídalo o simplifíquelo.")
                % {"file": path.name, "size": size // 1_000_000, "limit": MAX_BYTES // 1_000_000}
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise FileRefused(_("No existe el archivo «%(file)s».") % {"file": path}) from None
    except OSError as problem:
        raise FileRefused(
            _("No se puede leer «%(file)s»: %(reason)s.") % {"file": path, "reason": problem.strerror}
        ) from problem


def _parse(content: bytes, name: str) -> Any:
    for sign, what in SIGNS.items():
        if content.startswith(sign):
            raise FileRefused(
                _("«%(file)s» es %(what)s, no GeoJSON: descomprímalo o expórtelo como GeoJSON.")
                % {"file": name, "what": what}
            )
    if not content.strip():
        raise FileRefused(_("«%(file)s» está vacío.") % {"file": name})
    try:
        return orjson.loads(content.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as wrong:
        raise FileRefused(_json_words(content, name, wrong)) from wrong


def _json_words(content: bytes, name: str, wrong: orjson.JSONDecodeError) -> str:
    try:
        content.decode()
    except UnicodeDecodeError as where:
        return _("«%(file)s» no está en UTF-8 (byte %(byte)d): guárdelo como UTF-8.") % {
            "file": name,
            "byte": where.start,
        }
    if wrong.pos >= len(content.rstrip()) - 1 or "EOF" in wrong.msg or "end of" in wrong.msg:
        return _(
            "«%(file)s» está cortado: termina en la línea %(line)d sin cerrar. Descárguelo de nuevo."
        ) % {
            "file": name,
            "line": wrong.lineno,
        }
    return _("«%(file)s» no es JSON válido: línea %(line)d, columna %(column)d (%(reason)s).") % {
        "file": name,
        "line": wrong.lineno,
        "column": wrong.colno,
        "reason": re.sub(r": line .*", "", wrong.msg),
    }


def _refuse_other_crs(crs: Any, name: str) -> None:
    """RFC 7946 knows WGS84 only; older files name theirs in `crs`."""
    if crs is None:
        return
    properties = crs.get("properties") if isinstance(crs, Mapping) else None
    told = str(properties.get("name", "")) if isinstance(properties, Mapping) else ""
    if told.upper().endswith(DEGREES):
        return
    raise FileRefused(
        _(
            "«%(file)s» está en otro sistema de coordenadas (%(crs)s). Conviértalo: "
            "ogr2ogr -t_srs EPSG:4326 salida.geojson %(file)s"
        )
        % {"file": name, "crs": told[:80] or "?"}
    )
