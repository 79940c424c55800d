"""The city's live picture: what map, list, figures and event streams of this process all read."""
