"""Tables of the mobility room: feeds, their versions with their contents, and live sources."""

from amb247.mobility.models.feed import GtfsFeed
from amb247.mobility.models.source import RealtimeSource
from amb247.mobility.models.version import GtfsTable, GtfsVersion

__all__ = ["GtfsFeed", "GtfsTable", "GtfsVersion", "RealtimeSource"]
