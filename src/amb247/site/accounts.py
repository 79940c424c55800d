"""`amb admin`: the first administrator of a platform without demonstration city, or a way back in."""

from __future__ import annotations

import argparse
import getpass
import secrets
import sys

from amb247.site.database import database, migrate
from amb247.site.terminal import OK


def run_admin(chosen: argparse.Namespace) -> int:
    with database():
        migrate()
        from amb247.territory import api as territory

        password = getpass.getpass("Contraseña (vacía: se genera una): ") if sys.stdin.isatty() else ""
        made = password or secrets.token_urlsafe(12)
        territory.ensure_administrator(chosen.email, password=made)
        print(
            f"{chosen.email} administra el área metropolitana." + ("" if password else f" Contraseña: {made}")
        )
    return OK
