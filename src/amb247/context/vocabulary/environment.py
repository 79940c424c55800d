"""Air and weather (dataModel.Environment, dataModel.Weather)."""

from amb247.context.vocabulary.base import EntityType, geo, link, number, text

# ruff: noqa: N815 - attribute names as the data models spell them


class AirQualityObserved(EntityType):
    history_days = 730
    location = geo("Point", required=True)
    pm25 = number("GQ", minimum=0, maximum=5000)
    pm10 = number("GQ", minimum=0, maximum=5000)
    no2 = number("GQ", minimum=0)
    o3 = number("GQ", minimum=0)
    so2 = number("GQ", minimum=0)
    co = number("GP", minimum=0)
    temperature = number("CEL", minimum=-60, maximum=70)
    relativeHumidity = number("C62", minimum=0, maximum=1)
    airQualityIndex = number("C62", minimum=0)
    airQualityLevel = text()
    reliability = number("C62", minimum=0, maximum=1)
    refDevice = link()
    stationCode = text()
    stationName = text()


class WeatherObserved(EntityType):
    history_days = 730
    location = geo("Point", required=True)
    precipitation = number("MMT", minimum=0)
    temperature = number("CEL", minimum=-60, maximum=70)
    relativeHumidity = number("C62", minimum=0, maximum=1)
    windSpeed = number("MTS", minimum=0)
    windDirection = number("DD", minimum=-180, maximum=360)
    atmosphericPressure = number("A97", minimum=0)
    refDevice = link()
    stationCode = text()
    stationName = text()
