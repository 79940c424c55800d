"""The form that uploads a GTFS."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext_lazy as _

MOST_UPLOAD_MB = 100


class UploadForm(forms.Form):
    file = forms.FileField(
        label=_("Archivo zip"), help_text=_("GTFS tal como lo publica la agencia, hasta 100 MB.")
    )
    feed = forms.SlugField(
        label=_("Feed"),
        max_length=64,
        help_text=_("Nombre corto, igual en cada versión: letras, cifras y guiones. Por ejemplo metrolinea."),
    )
    name = forms.CharField(label=_("Nombre que se muestra"), max_length=200, required=False)
    keep_good = forms.BooleanField(label=_("Tomar las filas buenas aunque otras se rechacen"), required=False)
    activate = forms.BooleanField(label=_("Poner en servicio de inmediato"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["file"].widget.attrs["accept"] = ".zip,application/zip"

    def clean_file(self) -> UploadedFile:
        file: UploadedFile = self.cleaned_data["file"]
        if file.size is not None and file.size > MOST_UPLOAD_MB * 1_000_000:
            message = _("El archivo supera los %(limit)s MB. Impórtelo con ./amb import gtfs.")
            raise forms.ValidationError(message, code="too_large", params={"limit": MOST_UPLOAD_MB})
        return file
