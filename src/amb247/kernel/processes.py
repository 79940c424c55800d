"""Children that do not outlive the process that started them."""

from __future__ import annotations

import ctypes
import sys


def end_with_parent(signal_number: int) -> None:
    """For `preexec_fn`: ask Linux to send this signal when the parent dies (PR_SET_PDEATHSIG); elsewhere nothing.

    Where the system cannot do it, the next start finds and stops what was left over.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal_number, 0, 0, 0)
