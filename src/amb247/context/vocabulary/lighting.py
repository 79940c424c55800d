"""Street lighting (dataModel.Streetlighting)."""

from amb247.context.vocabulary.base import (
    EntityType,
    anything,
    geo,
    integer,
    link,
    many,
    moment,
    number,
    text,
)

# ruff: noqa: N815 - attribute names as the data models spell them


class Streetlight(EntityType):
    location = geo("Point", required=True)
    status = text("ok", "defectiveLamp", "columnIssue", "brokenLantern")
    powerState = text("on", "off", "low", "bootingUp")
    communicationState = text(
        "up", "down"
    )  # not in the model: the controller's link, apart from the lamp's health
    controllingMethod = text("individual", "group")
    locationCategory = text(
        "bridge",
        "centralIsland",
        "facade",
        "garden",
        "park",
        "parking",
        "pedestrianPath",
        "playground",
        "road",
        "sidewalk",
        "tunnel",
    )
    circuit = text()
    feederID = link()
    refStreetlightControlCabinet = link()
    refStreetlightGroup = link()
    refStreetlightModel = link()
    refDevice = link()
    powerRating = number("WTT", minimum=0)
    powerConsumption = number("WTT", minimum=0)
    powerFactor = number(minimum=-1, maximum=1)
    voltage = number("VLT", minimum=0)
    current = number("MAM", minimum=0)
    illuminanceLevel = number(minimum=0, maximum=1)
    lanternHeight = number("MTR", minimum=0)
    streetPoleNum = text()
    feederPillarNum = text()
    dateLastLampChange = moment()
    dateLastSwitchingOn = moment()
    dateLastSwitchingOff = moment()
    dateServiceStarted = moment()


class StreetlightControlCabinet(EntityType):
    location = geo("Point", required=True)
    workingMode = text("automatic", "manual", "semiautomatic")
    energyConsumed = number("KWH", minimum=0)
    lastMeterReading = number("KWH", minimum=0)
    maximumPowerAvailable = number("KWT", minimum=0)
    refStreetlightGroup = link()
    serialNumber = text()
    brandName = text()
    modelName = text()
    dateLastProgramming = moment()


class StreetlightFeeder(EntityType):
    location = geo("Point")
    powerState = text("ON", "OFF")
    numStreetlight = integer(minimum=0)
    totalActivePower = number("KWT", minimum=0)
    activePower = many()
    phaseVoltage = many()
    phaseCurrent = many()
    refStreetlightControlCabinet = link()
    deviceInfo = anything()
