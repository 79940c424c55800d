"""What a map shows behind the things: woods, rivers, parks."""

from amb247.context.vocabulary.base import EntityType, geo, text


class MapFeature(EntityType):
    """Not a Smart Data Model: a patch or line of the basemap of a city that has no map tiles of its own."""

    location = geo(required=True)
    kind = text("water", "wood", "park", required=True)
