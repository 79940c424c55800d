"""People who sign in. No username, no groups, no superuser flag: what they may do is in `Role` alone."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from amb247.kernel.personal_data import Declaration, PersonalData


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: object) -> User:
        """A person without any role; without a password nobody can sign in as them until one is set by link."""
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.full_clean(exclude=["password"])
        user.save(using=self._db)
        return user

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser):
    personal_data: ClassVar[Declaration] = PersonalData(
        fields={
            "email": _("Correo electrónico con el que ingresa."),
            "full_name": _("Nombre completo."),
            "language": _("Idioma preferido."),
            "password": _("Huella de la contraseña (scrypt), nunca la contraseña."),
            "last_login": _("Último ingreso."),
            "date_joined": _("Fecha de la invitación."),
        },
        purpose=_("Identificar a quien opera la plataforma y responder por lo que hace en ella."),
        retention=_("Mientras tenga un rol; después se suprime a solicitud de la persona."),
    )

    email = models.EmailField(_("correo electrónico"), max_length=254, unique=True)
    full_name = models.CharField(_("nombre completo"), max_length=160, blank=True, default="")
    language = models.CharField(_("idioma"), max_length=8, choices=settings.LANGUAGES, default="es")
    is_active = models.BooleanField(default=True)
    date_joined = models.DateTimeField(default=timezone.now)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        ordering = ["email"]
        constraints = [
            # Allauth compares addresses in lower case; a second spelling would be a second person.
            models.CheckConstraint(name="user_email_is_lower_case", condition=Q(email=Lower("email"))),
        ]

    def __str__(self) -> str:
        return self.full_name or self.email

    def get_full_name(self) -> str:
        return self.full_name

    def get_short_name(self) -> str:
        return self.full_name.split(" ")[0] or self.email
