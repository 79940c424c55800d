"""Sentences for people: what a finding or a refusal means, and what to do about it."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext

from amb247.mobility.data import Finding, Notice

# code -> (what is wrong, remedy)
FINDINGS = {
    "not_a_zip": (
        _lazy("El archivo no es un zip."),
        _lazy("Suba el zip GTFS tal como lo publica la agencia, con stops.txt, routes.txt y los demás archivos dentro."),
    ),
    "truncated_zip": (
        _lazy("El zip está cortado: falta el final del archivo."),
        _lazy("Descárguelo o cópielo de nuevo completo y compare su tamaño con el del original."),
    ),
    "damaged_zip": (
        _lazy("El zip está dañado: %(detail)s"),
        _lazy("Descárguelo de nuevo o vuelva a comprimir los archivos."),
    ),
    "encrypted_zip": (
        _lazy("El zip tiene contraseña (%(detail)s)."),
        _lazy("Comprima los archivos de nuevo sin contraseña."),
    ),
    "too_large": (
        _lazy("El archivo supera el límite: %(detail)s."),
        _lazy("Divida el feed por agencia o pida al administrador que amplíe el límite."),
    ),
    "too_many_files": (
        _lazy("El zip contiene demasiados archivos: %(detail)s."),
        _lazy("Deje en el zip solo los archivos de GTFS."),
    ),
    "zip_bomb": (
        _lazy("El zip se expande de forma anormal: %(detail)s."),
        _lazy("Revise de dónde viene el archivo; un GTFS real no se comprime tanto."),
    ),
    "no_gtfs_files": (
        _lazy("El zip no contiene ningún archivo de GTFS (contiene: %(detail)s)."),
        _lazy("Compruebe que sea el zip correcto: debe contener agency.txt, stops.txt, routes.txt, trips.txt y stop_times.txt."),
    ),
    "missing_file": (
        _lazy("Falta el archivo obligatorio %(file)s."),
        _lazy("Añada %(file)s al zip."),
    ),
    "missing_column": (
        _lazy("A %(file)s le falta la columna obligatoria %(field)s."),
        _lazy("Añada la columna %(field)s o corrija su nombre en el encabezado (columnas encontradas: %(detail)s)."),
    ),
    "empty_file": (
        _lazy("%(file)s está vacío."),
        _lazy("Exporte de nuevo %(file)s con su encabezado y sus filas."),
    ),
    "wrong_separator": (
        _lazy("%(file)s no está separado por comas sino por «%(detail)s»."),
        _lazy("Exporte el archivo como CSV separado por comas (GTFS no admite otro separador)."),
    ),
    "nothing_left": (
        _lazy("En %(file)s no queda ninguna fila utilizable (de %(detail)s)."),
        _lazy("Corrija las filas señaladas y vuelva a importar el feed."),
    ),
    "unclosed_quote": (
        _lazy("Comillas abiertas y no cerradas."),
        _lazy("Cierre las comillas en esas líneas o duplíquelas si son parte del texto."),
    ),
    "too_many_fields": (
        _lazy("La fila tiene más campos que el encabezado."),
        _lazy("Escriba entre comillas los textos que contienen comas."),
    ),
    "missing_value": (
        _lazy("Falta el valor de %(field)s."),
        _lazy("Complete %(field)s en esas filas."),
    ),
    "bad_time": (
        _lazy("%(field)s no es una hora HH:MM:SS."),
        _lazy("Escriba las horas como HH:MM:SS con minutos y segundos de 00 a 59; después de la medianoche siga con 24, 25…"),
    ),
    "bad_date": (
        _lazy("%(field)s no es una fecha AAAAMMDD."),
        _lazy("Escriba las fechas como AAAAMMDD, por ejemplo 20261122."),
    ),
    "bad_number": (
        _lazy("%(field)s no es un número válido."),
        _lazy("Escriba en %(field)s un número, con punto decimal y sin unidades."),
    ),
    "bad_value": (
        _lazy("%(field)s tiene un valor que GTFS no define (admite: %(detail)s)."),
        _lazy("Corrija %(field)s en esas filas."),
    ),
    "bad_time_zone": (
        _lazy("%(field)s no es una zona horaria conocida."),
        _lazy("Escriba un nombre de la base de datos de zonas horarias, por ejemplo America/Bogota."),
    ),
    "swapped_coordinates": (
        _lazy("%(field)s parecen intercambiadas."),
        _lazy("Intercambie las dos columnas: primero la latitud (en Bucaramanga, cerca de 7,1) y luego la longitud (cerca de −73,1)."),
    ),
    "zero_coordinates": (
        _lazy("Las coordenadas son 0, 0."),
        _lazy("Escriba la posición real o quite la fila."),
    ),
    "bad_coordinates": (
        _lazy("Las coordenadas están fuera de rango (latitud de −90 a 90, longitud de −180 a 180)."),
        _lazy("Escriba las coordenadas en grados WGS84, no en metros ni en otra proyección."),
    ),
    "repeated_key": (
        _lazy("%(field)s se repite con otros datos."),
        _lazy("Deje una sola fila por %(field)s."),
    ),
    "unknown_reference": (
        _lazy("%(field)s no existe en %(detail)s."),
        _lazy("Añada a %(detail)s lo que falta o quite estas filas."),
    ),
    "hangs_on_refused": (
        _lazy("Depende de una fila rechazada de %(detail)s."),
        _lazy("Corrija primero %(detail)s."),
    ),
    # notes: read all the same
    "nested_folder": (
        _lazy("Los archivos estaban dentro de la carpeta «%(detail)s» del zip."),
        _lazy("Comprima los archivos sin carpeta."),
    ),
    "extra_files": (_lazy("El zip trae archivos que no son de GTFS; se pasaron por alto."), _lazy("No hace falta nada.")),
    "other_encoding": (_lazy("%(file)s venía en %(detail)s; se leyó igual."), _lazy("Expórtelo en UTF-8.")),
    "null_bytes": (_lazy("%(file)s contenía bytes nulos; se quitaron."), _lazy("Expórtelo de nuevo.")),
    "repeated_column": (_lazy("El encabezado repite columnas; se usó la primera."), _lazy("Quite la columna repetida.")),
    "identical_row": (_lazy("Filas idénticas repetidas; se tomó una."), _lazy("Quite las repetidas.")),
    "unknown_shape": (
        _lazy("%(field)s no existe en shapes.txt; el recorrido se dibuja por sus paradas."),
        _lazy("Añada el trazado a shapes.txt."),
    ),
    "value_ignored": (_lazy("%(field)s tiene valores que no se entienden; se dejaron vacíos."), _lazy("Corrija %(field)s.")),
}  # fmt: skip

REFUSALS = {
    "no_vehicle_id": _lazy("sin identificador de vehículo ni de viaje"),
    "no_position": _lazy("sin posición ni parada conocida que la reemplace"),
    "unknown_stop": _lazy("sin posición y con una parada que no está en el GTFS activo"),
    "zero_position": _lazy("posición 0, 0"),
    "bad_position": _lazy("posición fuera de rango"),
    "future_timestamp": _lazy("hora en el futuro (más de 5 minutos)"),
    "bad_timestamp": _lazy("hora ilegible"),
    "no_timestamp": _lazy("sin hora, y el mensaje tampoco la tiene"),
    "duplicate_vehicle": _lazy("vehículo repetido en el mensaje: se tomó el más reciente"),
    "malformed_entity": _lazy("entidad ilegible"),
    "deleted_entity": _lazy("entidad marcada como borrada"),
    "empty_entity": _lazy("entidad sin contenido"),
    "too_many_fields": _lazy("fila con más campos que el encabezado"),
    "missing_fields": _lazy("fila con menos campos que el encabezado"),
    "unclosed_quote": _lazy("comillas abiertas y no cerradas"),
    "bad_speed": _lazy("velocidad ilegible"),
    "truncated_message": _lazy("mensaje cortado"),
    "not_gtfs_realtime": _lazy("no es un mensaje GTFS-Realtime"),
    "empty_message": _lazy("mensaje vacío"),
}


def explain(finding: Finding) -> tuple[str, str]:
    """What is wrong and what to do, in the reader's language."""
    known = FINDINGS.get(finding.code)
    if known is None:
        return finding.code, ""
    words = {"file": finding.file, "field": finding.field, "detail": finding.detail}
    return str(known[0]) % words, str(known[1]) % words


def place_of(finding: Finding) -> str:
    """stop_times.txt, líneas 2, 3 y 4 más."""
    lines = [str(sample.line) for sample in finding.samples if sample.line is not None]
    if not finding.file or not lines:
        return finding.file
    words = {"file": finding.file, "lines": ", ".join(lines), "rest": finding.count - len(lines)}
    if finding.count > len(lines):
        return (
            ngettext(
                "%(file)s, líneas %(lines)s y %(rest)s más",
                "%(file)s, líneas %(lines)s y %(rest)s más",
                finding.count,
            )
            % words
        )
    return ngettext("%(file)s, línea %(lines)s", "%(file)s, líneas %(lines)s", len(lines)) % words


def example_of(finding: Finding) -> str:
    """The first value met, to recognise it; empty when there is none to show."""
    values = [sample.value for sample in finding.samples if sample.value]
    return _("por ejemplo «%(value)s»") % {"value": values[0]} if values else ""


def refusal(reason: str) -> str:
    """Why a position was refused, in the reader's language."""
    if reason.startswith("context:"):
        return _("rechazada por el contexto: %(field)s") % {"field": reason.removeprefix("context:")}
    return str(REFUSALS.get(reason, reason))


def notice_title(notice: Notice) -> str:
    """The validator's rule names stay as they are published, so that they can be looked up."""
    return notice.code.replace("_", " ")
