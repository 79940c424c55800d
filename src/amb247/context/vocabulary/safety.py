"""Cameras (dataModel.Device, Camera)."""

from amb247.context.vocabulary.base import EntityType, anything, flag, geo, integer, link, moment, text

# ruff: noqa: N815 - attribute names as the data models spell them


class Camera(EntityType):
    location = geo("Point", required=True)
    cameraName = text()
    cameraNum = integer(minimum=0)
    cameraType = text()
    cameraUsage = text()
    cameraOrientation = anything()
    on = flag()
    refNode = link()
    streamName = text()
    startDateTime = moment()
    endDateTime = moment()
