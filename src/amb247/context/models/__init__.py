"""Paperwork of the context: which feeds there are and how they do. Entities lie in tables of their own (sql/)."""

from amb247.context.models.feeds import Feed, FeedMinute, FeedRefusal

__all__ = ["Feed", "FeedMinute", "FeedRefusal"]
