"""Forms for people, roles, tokens and the audit log's filter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from amb247.territory import models, rules
from amb247.territory.data import AuditFilter
from amb247.territory.domain import permissions, tokens
from amb247.territory.enums import Permission, RoleName, Scope
from amb247.territory.errors import TokenLimitRefused
from amb247.territory.web.places import choices_for


class RoleForm(forms.Form):
    """A role in one of the places that the person manages."""

    role = forms.ChoiceField(label=_("Rol"), choices=RoleName.choices)
    place = forms.ChoiceField(label=_("Lugar"))
    until = forms.DateField(
        label=_("Hasta"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text=_("Vacío: sin fecha de fin."),
    )

    def __init__(self, *args: Any, user: models.User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _set_choices(self, "place", choices_for(user, Permission.PEOPLE_MANAGE))

    def clean_until(self) -> datetime | None:
        """The last moment of the chosen day."""
        day = self.cleaned_data["until"]
        if day is None:
            return None
        end = timezone.make_aware(datetime.combine(day, time.max))
        if end <= timezone.now():
            raise forms.ValidationError(_("Elija una fecha futura."))
        return end


class InviteForm(RoleForm):
    email = forms.EmailField(label=_("Correo electrónico"), max_length=254)
    full_name = forms.CharField(label=_("Nombre completo"), max_length=160)
    language = forms.ChoiceField(label=_("Idioma"), choices=settings.LANGUAGES)

    field_order = ("email", "full_name", "language", "role", "place", "until")


DAYS = (("30", _("30 días")), ("90", _("90 días")), ("365", _("Un año")), ("", _("Sin vencimiento")))


class NamesField(forms.CharField):
    """Names, one a line; `check` gives them back in order or says what is wrong with one."""

    def __init__(self, *, check: Callable[[Iterable[str]], list[str]], **options: Any) -> None:
        # No spelling help: these are identifiers.
        attributes = {"rows": 3, "spellcheck": "false", "autocapitalize": "off", "autocomplete": "off"}
        super().__init__(required=False, widget=forms.Textarea(attrs=attributes), **options)
        self.check = check

    def clean(self, value: Any) -> list[str]:
        lines = super().clean(value).splitlines()
        try:
            return self.check(line.strip() for line in lines if line.strip())
        except TokenLimitRefused as refusal:
            raise forms.ValidationError(str(refusal)) from refusal


class TokenForm(forms.Form):
    name = forms.CharField(
        label=_("Nombre"),
        max_length=120,
        help_text=_("El programa que la usará, por ejemplo «Pasarela de alumbrado»."),
    )
    place = forms.ChoiceField(label=_("Lugar"))
    scopes = forms.MultipleChoiceField(label=_("Permisos"), widget=forms.CheckboxSelectMultiple)
    entity_types = NamesField(
        label=_("Tipos de entidad"),
        check=tokens.type_names,
        help_text=_("Uno por línea, con su nombre corto o su IRI: Streetlight. Vacío: todos."),
    )
    tenants = NamesField(
        label=_("Inquilinos"),
        check=tokens.tenant_names,
        help_text=_(
            "Uno por línea, como va en la cabecera NGSILD-Tenant. Vacío: solo la ciudad misma. Si escribe alguno, la "
            "ficha vale en ellos y no en la ciudad."
        ),
    )
    days = forms.ChoiceField(label=_("Vence en"), choices=DAYS, required=False, initial="90")

    def __init__(self, *args: Any, user: models.User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _set_choices(self, "place", choices_for(user, Permission.TOKENS_MANAGE))
        roles = permissions.roles_of(user)
        allowed = [
            (scope.value, scope.label)
            for scope in Scope
            if rules.is_permitted_somewhere(roles, rules.SCOPE_PERMISSION[scope])
        ]
        _set_choices(self, "scopes", allowed)

    def expires_at(self) -> datetime | None:
        days = self.cleaned_data["days"]
        return timezone.now() + timedelta(days=int(days)) if days else None


DAY_LIMITS = (MinValueValidator(date(1900, 1, 1)), MaxValueValidator(date(2999, 12, 31)))


class AuditForm(forms.Form):
    verb = forms.CharField(label=_("Acción"), required=False, max_length=80)
    actor = forms.CharField(label=_("Persona"), required=False, max_length=160)
    object_urn = forms.CharField(label=_("Objeto"), required=False, max_length=300)
    start = forms.DateField(
        label=_("Desde"),
        required=False,
        validators=DAY_LIMITS,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
    end = forms.DateField(
        label=_("Hasta"),
        required=False,
        validators=DAY_LIMITS,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )

    def wanted(self) -> AuditFilter:
        """What the valid fields say; a wrong date filters nothing and is shown beside its field."""
        self.full_clean()
        given = self.cleaned_data
        start, end = given.get("start"), given.get("end")
        return AuditFilter(
            verb=given.get("verb", ""),
            actor=given.get("actor", ""),
            object_urn=given.get("object_urn", ""),
            start=_midnight(start) if start else None,
            end=_midnight(end + timedelta(days=1)) if end else None,
        )


def _set_choices(form: forms.Form, name: str, choices: Sequence[Any]) -> None:
    field = form.fields[name]
    if isinstance(field, forms.ChoiceField):
        field.choices = choices


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
