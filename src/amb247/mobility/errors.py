"""What can go wrong in the mobility room, each named after the situation."""

from __future__ import annotations


class MobilityError(Exception):
    """Base of all errors of the mobility room."""


class FeedNameRefused(MobilityError):
    """A feed's name must be letters, digits, hyphens and underscores, at most 64: it is part of every id."""


class FeedUnknown(MobilityError):
    """No feed has that name."""


class VersionUnknown(MobilityError):
    """The feed has no version with that number."""


class NoFormerVersion(MobilityError):
    """There is no version to roll back to."""


class TransitionRefused(MobilityError):
    """The version's state does not allow what was asked."""


class SourceRefused(MobilityError):
    """The address of a live source is not one we may ask."""


class UnreadableRecording(MobilityError):
    """A file as a whole cannot be read: what, where and the remedy are in the message.

    Attributes
    ----------
    reason : str    stable short code, the one counted in the feed's refusals
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class UnreadableArchive(UnreadableRecording):
    """The file is no zip that we may open."""


class UnreadableMessage(UnreadableRecording):
    """The bytes are no GTFS-Realtime message, or only a part of one."""


class UnreadableTable(UnreadableRecording):
    """The text is no table of vehicle positions."""
