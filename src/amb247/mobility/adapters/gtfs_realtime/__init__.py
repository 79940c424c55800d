"""GTFS-Realtime messages: read leniently, every refused vehicle position counted with its reason."""

from amb247.mobility.adapters.gtfs_realtime.message import header_time, read_message

__all__ = ["header_time", "read_message"]
