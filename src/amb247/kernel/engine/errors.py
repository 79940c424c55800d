"""What can go wrong with the embedded database server."""


class EngineError(Exception):
    """The embedded database server cannot be used."""


class NoBinaries(EngineError):
    """No PostgreSQL >= 15 was found: neither a wheel with its binaries nor a system installation."""


class NoUnprivilegedUser(EngineError):
    """Running as root, and no unprivileged account (postgres, nobody) exists to run the server."""


class WrongMajor(EngineError):
    """The data directory was made by another major version of PostgreSQL."""


class NotOurs(EngineError):
    """The data directory belongs to another account."""


class StartFailed(EngineError):
    """The server did not accept connections; the end of its log says why."""
