"""Alerts of every system (dataModel.Alert): the control centre works from these."""

from amb247.context.vocabulary.base import EntityType, anything, integer, link, moment, text

# ruff: noqa: N815 - attribute names as the data models spell them


class Alert(EntityType):
    history_days = 1825
    category = text(required=True)
    subCategory = text()
    severity = text("informational", "low", "medium", "high", "critical", required=True)
    status = text("active", "cleared", required=True)
    alertSource = link()
    dateIssued = moment()
    validFrom = moment()
    validTo = moment()
    data = anything()
    affected = integer(minimum=0)
