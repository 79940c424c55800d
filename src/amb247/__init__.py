"""AMB 24/7: the open platform of a smart metropolitan area."""

__version__ = "0.1.0"
