"""GTFS static: opening the archive, reading its tables leniently, checking them, asking the validator."""

from amb247.mobility.adapters.gtfs.reader import GtfsContent, read_gtfs

__all__ = ["GtfsContent", "read_gtfs"]
