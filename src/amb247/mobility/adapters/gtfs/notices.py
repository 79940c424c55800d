"""The validator's report (gtfs-guru): which rules the feed breaks, how often, and the first cases."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import gtfs_guru
import orjson

from amb247.mobility.data import Notice

SAMPLES = 5
ORDER = {"ERROR": 0, "WARNING": 1, "INFO": 2}
logger = logging.getLogger(__name__)


def notices_of(path: Path) -> tuple[Notice, ...]:
    """Ask the validator.

    Parameters
    ----------
    path : Path    a zip or a folder of GTFS texts

    Returns
    -------
    tuple of Notice    errors first, then by how often; one of code "validator_failed" when it could not run. Releases
                       the interpreter's lock while it works.
    """
    try:
        report: dict[str, Any] = orjson.loads(gtfs_guru.validate(str(path)).to_json())
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic of the Rust side is one, and no Exception
        logger.warning("gtfs-guru failed: %s", type(error).__name__)
        return (Notice("validator_failed", "INFO", 1, ({"message": str(error)[:200]},)),)
    notices = [
        Notice(
            code=notice["code"],
            severity=notice["severity"],
            count=int(notice["totalNotices"]),
            samples=tuple(notice.get("sampleNotices", ())[:SAMPLES]),
        )
        for notice in report["notices"]
    ]
    return tuple(
        sorted(notices, key=lambda notice: (ORDER.get(notice.severity, 3), -notice.count, notice.code))
    )
