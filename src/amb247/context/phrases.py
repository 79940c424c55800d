"""Words for what entities carry: types, attributes, values, units."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils.formats import date_format, number_format
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

TYPES = {
    "Vehicle": _("Bus"),
    "Streetlight": _("Luminaria"),
    "AccessPoint": _("Zona WiFi"),
    "Camera": _("Cámara"),
    "AirQualityObserved": _("Estación de calidad del aire"),
    "WeatherObserved": _("Estación meteorológica"),
    "PublicTransportStop": _("Paradero"),
    "Alert": _("Alerta"),
    "StreetlightFeeder": _("Circuito de alumbrado"),
    "StreetlightControlCabinet": _("Tablero de control"),
    "Device": _("Dispositivo"),
    "GtfsRoute": _("Ruta"),
    "RoadSegment": _("Vía"),
    "MapFeature": _("Elemento del mapa base"),
}
ATTRIBUTES = {
    "speed": _("Velocidad"),
    "bearing": _("Rumbo"),
    "serviceStatus": _("Servicio"),
    "vehicleType": _("Vehículo"),
    "license_plate": _("Placa"),
    "routeShortName": _("Ruta"),
    "headingTo": _("Destino"),
    "occupancyStatus": _("Ocupación"),
    "currentStopSequence": _("Parada en curso"),
    "currentStatus": _("Respecto a la parada"),
    "tripStartTime": _("Salida del viaje"),
    "tripStartDate": _("Fecha del viaje"),
    "refRoute": _("Ruta"),
    "status": _("Estado"),
    "powerState": _("Encendido"),
    "communicationState": _("Comunicación"),
    "circuit": _("Circuito"),
    "powerRating": _("Potencia nominal"),
    "powerConsumption": _("Consumo"),
    "illuminanceLevel": _("Nivel de luz"),
    "lanternHeight": _("Altura"),
    "locationCategory": _("Lugar"),
    "controllingMethod": _("Control"),
    "refStreetlightControlCabinet": _("Tablero"),
    "feederID": _("Circuito"),
    "workingMode": _("Modo"),
    "energyConsumed": _("Energía"),
    "numStreetlight": _("Luminarias"),
    "totalActivePower": _("Potencia activa"),
    "apState": _("Estado"),
    "clientsConnected": _("Personas conectadas"),
    "ssid": _("Red"),
    "cameraNum": _("Número"),
    "cameraType": _("Tipo"),
    "cameraUsage": _("Uso"),
    "on": _("En línea"),
    "refNode": _("Nodo"),
    "deviceState": _("Estado"),
    "deviceCategory": _("Clase"),
    "pm25": _("Material particulado PM2,5"),
    "pm10": _("Material particulado PM10"),
    "temperature": _("Temperatura"),
    "relativeHumidity": _("Humedad relativa"),
    "airQualityIndex": _("Índice de calidad del aire"),
    "reliability": _("Confiabilidad"),
    "precipitation": _("Lluvia"),
    "windSpeed": _("Viento"),
    "windDirection": _("Dirección del viento"),
    "category": _("Categoría"),
    "subCategory": _("Clase"),
    "severity": _("Prioridad"),
    "description": _("Descripción"),
    "dateIssued": _("Emitida"),
    "validFrom": _("Desde"),
    "validTo": _("Hasta"),
    "affected": _("Afectados"),
    "alertSource": _("Origen"),
    "stopCode": _("Código"),
    "address": _("Dirección"),
    "wheelChairAccessible": _("Acceso en silla de ruedas"),
    "transportationType": _("Modo de transporte"),
    "shortName": _("Ruta"),
    "routeType": _("Modo de transporte"),
    "routeColor": _("Color"),
    "headwayPeak": _("Intervalo en hora pico"),
    "headwayOffPeak": _("Intervalo en hora valle"),
    "agencyName": _("Operador"),
    "lengthKm": _("Longitud"),
    "cameraName": _("Nombre"),
    "refTrip": _("Viaje"),
}
UNITS = {
    "KMH": "km/h",
    "DD": "°",
    "WTT": "W",
    "KWT": "kW",
    "KWH": "kWh",
    "MTR": "m",
    "KMT": "km",
    "VLT": "V",
    "MAM": "mA",
    "CEL": "°C",
    "GQ": "µg/m³",
    "GP": "mg/m³",
    "MMT": "mm",
    "MTS": "m/s",
    "A97": "hPa",
    "MIN": "min",
    "C62": "",
}
VALUES = {
    "onRoute": _("en ruta"),
    "parked": _("estacionado"),
    "broken": _("averiado"),
    "outOfService": _("fuera de servicio"),
    "garaged": _("en patio"),
    "special": _("servicio especial"),
    "bus": _("bus"),
    "ok": _("normal"),
    "defectiveLamp": _("lámpara defectuosa"),
    "columnIssue": _("daño en el poste"),
    "brokenLantern": _("farol roto"),
    "on": pgettext_lazy("luminaria", "encendida"),
    "off": pgettext_lazy("luminaria", "apagada"),
    "low": pgettext_lazy("luminaria", "atenuada"),
    "bootingUp": pgettext_lazy("luminaria", "arrancando"),
    "up": _("activa"),
    "down": _("caída"),
    "ON": _("energizado"),
    "OFF": _("sin energía"),
    "fault": _("en falla"),
    "maintenance": _("en mantenimiento"),
    "active": _("activa"),
    "cleared": _("terminada"),
    "individual": _("individual"),
    "group": _("por grupo"),
    "automatic": _("automático"),
    "manual": _("manual"),
    "semiautomatic": _("semiautomático"),
    "road": _("vía"),
    "sidewalk": _("andén"),
    "park": _("parque"),
    "centralIsland": _("separador"),
    "IN_TRANSIT_TO": _("en camino"),
    "STOPPED_AT": _("detenido"),
    "INCOMING_AT": _("llegando"),
    "EMPTY": _("vacío"),
    "MANY_SEATS_AVAILABLE": _("muchas sillas libres"),
    "FEW_SEATS_AVAILABLE": _("pocas sillas libres"),
    "STANDING_ROOM_ONLY": _("solo de pie"),
    "CRUSHED_STANDING_ROOM_ONLY": _("muy lleno"),
    "FULL": _("lleno"),
}
CATEGORIES = {
    "traffic": _("Movilidad"),
    "lighting": _("Alumbrado"),
    "connectivity": _("Conectividad"),
    "security": _("Seguridad"),
    "environment": _("Ambiente"),
    "weather": _("Clima"),
    "health": _("Salud"),
}
# Words of one attribute: the same value says something else in another ("low": a dimmed lamp, a priority).
VALUES_OF = {
    "severity": {
        "critical": _("crítica"),
        "high": _("alta"),
        "medium": _("media"),
        "low": _("baja"),
        "informational": _("informativa"),
    },
    "category": CATEGORIES,
    "wheelChairAccessible": {"0": _("sin dato"), "1": _("sí"), "2": _("no")},
}


def in_words(value: Any) -> str:
    """A value as a person reads it, in the language of the page."""
    if isinstance(value, bool):
        return str(_("sí") if value else _("no"))
    if isinstance(value, (int, float)):
        return number_format(round(value, 2) if isinstance(value, float) else value, use_l10n=True)
    if isinstance(value, dict) and "@value" in value:
        try:
            return date_format(localtime(datetime.fromisoformat(value["@value"])), "j M Y H:i")
        except ValueError:
            return str(value["@value"])
    if isinstance(value, dict):
        return ", ".join(f"{key}: {in_words(part)}" for key, part in value.items())[:300]
    if isinstance(value, list):
        return ", ".join(in_words(part) for part in value)[:300]
    return str(VALUES.get(value, value))[:300]
