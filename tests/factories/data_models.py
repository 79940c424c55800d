"""The Smart Data Models' examples and contexts, from the copies beside the project."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

DATA = Path(os.environ.get("AMB_SHARED_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
CONTEXTS = DATA / "ngsi-ld" / "smartdatamodels-context"


def fetch_model(url: str) -> Any:
    """What stands at the address of a data model's context."""
    found = re.search(r"dataModel\.(\w+)", url)
    assert found is not None, url
    return json.loads((CONTEXTS / f"dataModel.{found[1]}.context.jsonld").read_text())
