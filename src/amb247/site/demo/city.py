"""The demo city as one value: everything else is computed from it."""

import math
from dataclasses import dataclass
from functools import cached_property

from amb247.site.demo.assets import Assets, build_assets
from amb247.site.demo.streets import Streets, build_streets
from amb247.site.demo.territory import Territory, build_territory
from amb247.site.demo.timetable import LAYOVER_S, TransitKey, headways
from amb247.site.demo.transit import Transit, build_transit

FULL_BUSES = 500
FULL_ROUTES = 51
FEED = "demo"
"""The slug of the demo feed and the second part of every URN."""
SOURCE = "urn:amb247:demo"


@dataclass(frozen=True, eq=False, repr=False)
class City:
    """A synthetic city. `scale` 1.0 is 60,000 luminaires, 500 buses, 800 cameras, 80 WiFi zones, 40 stations."""

    seed: int
    scale: float
    territory: Territory
    streets: Streets
    transit: Transit
    assets: Assets

    @cached_property
    def transit_key(self) -> TransitKey:
        return TransitKey(self.transit, self.seed, self._headway_stretch)

    @property
    def _headway_stretch(self) -> float:
        """1.0 at full size: the real headways. Elsewhere whatever brings the peak to the wanted fleet."""
        if self.scale == 1.0:
            return 1.0
        buses = 0.0
        for pattern in self.transit.patterns:
            peak, _ = headways(self.transit.routes[pattern.route])
            buses += (pattern.duration_s * 1.1 + 2 * LAYOVER_S) / (peak * 60)
        wanted = max(FULL_BUSES * self.scale, 8 * len(self.transit.routes) if self.scale < 0.1 else 0)
        return buses / wanted


def build_city(*, seed: int = 247, scale: float = 1.0) -> City:
    """Lay out the whole city; a few seconds, no input but the arguments."""
    if not 0 < scale <= 20:
        message = f"scale must be above 0 and at most 20, not {scale}"
        raise ValueError(message)
    territory = build_territory(seed)
    streets = build_streets(seed, territory)
    routes = max(3, min(FULL_ROUTES, math.ceil(FULL_ROUTES * math.sqrt(scale)))) if scale >= 0.1 else 3
    transit = build_transit(streets, territory, route_count=routes)
    return City(seed, scale, territory, streets, transit, build_assets(seed, scale, territory, streets))
