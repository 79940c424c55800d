"""@contexts on other people's servers."""

from amb247.context.adapters.remote_contexts.reader import Fetched, fetch

__all__ = ["Fetched", "fetch"]
