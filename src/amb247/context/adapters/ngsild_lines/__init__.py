"""NGSI-LD entities, one JSON object a line (or one JSON list): the form of exports, recordings and inventories."""

from amb247.context.adapters.ngsild_lines.reader import LinesUnreadable, read_lines

__all__ = ["LinesUnreadable", "read_lines"]
