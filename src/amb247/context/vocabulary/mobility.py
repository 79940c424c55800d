"""Vehicles, stops and lines (dataModel.Transportation, dataModel.UrbanMobility)."""

from amb247.context.vocabulary.base import (
    EntityType,
    anything,
    flag,
    geo,
    integer,
    link,
    many,
    moment,
    number,
    text,
)

# ruff: noqa: N815 - attribute names as the data models spell them


class Vehicle(EntityType):
    history_days = 45
    location = geo("Point", required=True)
    speed = number("KMH", minimum=0, maximum=400)
    bearing = number("DD", minimum=0, maximum=360)
    heading = number("DD", minimum=0, maximum=360)
    serviceStatus = text("onRoute", "parked", "broken", "outOfService", "garaged", "special")
    serviceOnDuty = flag()
    serviceProvided = many()
    vehicleType = text()
    category = many()
    license_plate = text()
    vehiclePlateIdentifier = text()
    fleetVehicleId = text()
    refRoute = link()
    refTrip = link()
    routeShortName = text()
    headingTo = text()
    occupancyStatus = text()
    congestionLevel = text()
    currentStopSequence = integer(minimum=0)
    currentStatus = text()
    currentStop = link()
    tripStartTime = text()
    tripStartDate = text()
    mileageFromOdometer = number("KMT", minimum=0)


class PublicTransportStop(EntityType):
    location = geo("Point", required=True)
    stopCode = text()
    shortStopCode = text()
    wheelChairAccessible = text("0", "1", "2")
    transportationType = many()
    refPublicTransportRoute = link()
    zoneCode = text()
    webSite = text()


class GtfsRoute(EntityType):
    shortName = text()
    routeType = text()
    routeColor = text()
    routeTextColor = text()
    operatedBy = link()
    agencyName = text()
    page = text()
    path = geo("LineString", "MultiLineString")
    lengthKm = number("KMT", minimum=0)
    headwayPeak = number("MIN", minimum=0)
    headwayOffPeak = number("MIN", minimum=0)


class RoadSegment(EntityType):
    location = geo("LineString", "MultiLineString", required=True)
    roadClass = text()
    roadName = text()
    maximumAllowedSpeed = number("KMH", minimum=0)
    refRoad = link()
    status = many()
    validFrom = moment()
    length = number("MTR", minimum=0)
    extra = anything()
