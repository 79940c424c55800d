"""What a reader's reach in the territory means for queries."""

from __future__ import annotations

from collections.abc import Iterable

import shapely

from amb247.context.jsonld.names import internal
from amb247.context.querying.query import Restriction
from amb247.territory import api as territory


def restriction_of(reach: territory.Reach, types: Iterable[str] = ()) -> Restriction | None:
    """What a token or a person may see, ANDed to everything they ask; None is the whole city.

    Parameters
    ----------
    types : str
        Short names or IRIs to which a token is limited; none: all types.
    """
    areas = reach.areas
    names = frozenset(internal(name) for name in types)
    if areas is None and not names:
        return None
    return Restriction(
        types=names or None,
        areas=None if areas is None else tuple(shapely.Polygon(one[0], one[1:]) for one in areas),
    )
