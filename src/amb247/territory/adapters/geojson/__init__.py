"""GeoJSON (RFC 7946, and the older 2008 form with `crs`) read leniently into candidates for areas."""

from amb247.territory.adapters.geojson.layouts import candidates_of, recognise
from amb247.territory.adapters.geojson.reading import read_collection

__all__ = ["candidates_of", "read_collection", "recognise"]
