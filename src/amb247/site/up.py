"""`amb up`: everything made ready, served, and stopped again; `amb web` the pages alone."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

import uvicorn

from amb247.kernel.processes import end_with_parent
from amb247.site import frontend_build, messages
from amb247.site.database import database, migrate
from amb247.site.terminal import BROKEN, OK, complain, say

if TYPE_CHECKING:  # Django is made ready by `database`
    from amb247.territory.data import DemoAccount

GRACE_S = 2  # an open event stream would otherwise keep the server from stopping
STARTED = time.monotonic()


def run_up(chosen: argparse.Namespace) -> int:
    _end_in_order()
    host, port = chosen.host, int(os.environ.get("AMB_PORT", "8247"))
    if not _is_free(host, port):
        return BROKEN
    threading.Thread(target=_import_ahead, daemon=True).start()
    frontend_build.ensure(say)
    messages.compile_catalogues()
    with database() as engine:
        if engine.folder is not None and not engine.is_ours:
            say("Otra orden ya mantiene la base de datos de este directorio; se usa la misma.")
        if count := migrate():
            say(f"Base de datos lista ({count} migraciones).")
        demo = not chosen.no_demo
        if demo:
            from amb247.site.demo.install import ensure_demo_city

            ensure_demo_city(seed=chosen.seed, scale=chosen.scale, say=say)
        workers: list[subprocess.Popen[bytes]] = []
        with ThreadPoolExecutor(1) as beside:
            accounts = beside.submit(_accounts) if demo else None

            def ready() -> None:
                # Not before: with two processors its start would make that of the pages half as quick. On this thread,
                # because the child's end follows that of the thread that began it.
                workers.append(_start_worker(demo=demo))
                _greet(host, port, accounts.result() if accounts else [])

            try:
                return _serve(host, port, ready)
            finally:
                for worker in workers:
                    _stop_worker(worker)
                say("Plataforma detenida.")


def run_web(chosen: argparse.Namespace) -> int:
    _end_in_order()
    host, port = chosen.host, int(os.environ.get("AMB_PORT", "8247"))
    if not _is_free(host, port):
        return BROKEN
    frontend_build.ensure(say)
    messages.compile_catalogues()
    with database():
        return _serve(host, port, lambda: say(f"Páginas en http://{host}:{port}/"))


def run_migrate(_chosen: argparse.Namespace) -> int:
    with database():
        say(f"{migrate()} migraciones aplicadas.")
    return OK


def _end_in_order() -> None:
    """SIGTERM ends us as Ctrl-C does: what we started is stopped before we go.

    The server raises again the signal that stopped it; SIGTERM's own way would end this process on the spot, and
    leave worker and database to find out by themselves.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def _import_ahead() -> None:
    """The largest libraries, which need no settings, while the database is started: half a second of every start."""
    for name in ("polars", "shapely", "httpx", "starlette.applications", "paho.mqtt.client"):
        import_module(name)


def _is_free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as problem:
            if problem.errno == errno.EADDRINUSE:
                complain(
                    f"El puerto {port} está ocupado: cierre el otro programa o use «./amb up --port {port + 1}».",
                    f"Port {port} is in use.",
                )
            else:
                complain(f"No se puede escuchar en {host}:{port}: {problem.strerror}.")
            return False
    return True


def _serve(host: str, port: int, when_ready: Callable[[], None]) -> int:
    """Serve until a signal comes; Ctrl-C is a normal end."""
    config = uvicorn.Config(
        "amb247.site.asgi:build_application",
        factory=True,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=GRACE_S,
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips=os.environ.get("AMB_PROXY_IPS", "127.0.0.1"),
        h11_max_incomplete_event_size=65_536,
    )
    server = uvicorn.Server(config)

    async def run() -> None:
        serving = asyncio.create_task(server.serve())
        while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn tells by a flag only
            await asyncio.sleep(0.02)
        await _wait_for_picture(serving)
        if not serving.done():
            when_ready()
        await serving

    with (
        contextlib.suppress(KeyboardInterrupt),
        asyncio.Runner(loop_factory=config.get_loop_factory()) as runner,
    ):
        runner.run(run())
    return OK if server.started else BROKEN


async def _wait_for_picture(serving: asyncio.Task[None]) -> None:
    from amb247.centre.live import service

    for _ in range(1_200):
        live = service.current()
        if serving.done() or (live is not None and live.is_ready):
            return
        await asyncio.sleep(0.05)


def _accounts() -> list[DemoAccount]:
    """The accounts of the demonstration; seeing that their passwords still hold takes a second of deliberate slowness."""
    from django.db import connection

    from amb247.site.demo.install import demo_accounts

    try:
        return demo_accounts()
    finally:
        connection.close()


def _greet(host: str, port: int, accounts: Sequence[DemoAccount]) -> None:
    address = f"http://{'localhost' if host in {'127.0.0.1', '::1'} else host}:{port}/"
    print(f"\n  AMB 24/7 está en {address}   (listo en {time.monotonic() - STARTED:.1f} s)", flush=True)
    if accounts:
        print("  Ciudad sintética de demostración. Cuentas:")
        for account in accounts:
            print(f"    {account.email:<34} {account.password:<22} {account.role}")
    print("  Ctrl-C detiene todo.\n", flush=True)


def _start_worker(*, demo: bool) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "amb247", "worker", *(["--demo"] if demo else [])]
    return subprocess.Popen(
        command,
        preexec_fn=partial(end_with_parent, signal.SIGTERM),
        start_new_session=True,
        stdin=subprocess.DEVNULL,
    )


def _stop_worker(worker: subprocess.Popen[bytes]) -> None:
    if worker.poll() is None:
        worker.terminate()
        try:
            worker.wait(10)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
