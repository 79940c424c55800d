"""The embedded PostgreSQL server: where its binaries come from, how it starts, stops and recovers."""

from amb247.kernel.engine.errors import EngineError
from amb247.kernel.engine.server import Engine, open_engine

__all__ = ["Engine", "EngineError", "open_engine"]
