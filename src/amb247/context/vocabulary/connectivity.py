"""Public WiFi and devices (dataModel.WifiNetwork, dataModel.Device)."""

from amb247.context.vocabulary.base import EntityType, geo, integer, link, many, moment, number, text

# ruff: noqa: N815 - attribute names as the data models spell them


class AccessPoint(EntityType):
    location = geo("Point", required=True)
    apState = text("up", "down")
    clientsConnected = integer(minimum=0)
    ssid = many()
    service = many()
    provider = text()
    macAddress = text()
    ipAddress = text()
    modelName = text()
    serialNumber = text()
    firmwareVersion = text()
    refPointOfInterest = link()
    dateInstalled = moment()
    dateLastReboot = moment()
    dateLastValueReported = moment()


class Device(EntityType):
    deviceState = text("ok", "fault", "maintenance")
    deviceCategory = many()
    controlledProperty = many()
    controlledAsset = link()
    batteryLevel = number(minimum=0, maximum=1)
    rssi = number()
    ipAddress = many()
    serialNumber = text()
    dateFirstUsed = moment()
    value = many()
