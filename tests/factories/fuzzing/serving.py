"""The platform's server as a process of its own, on a database of its own: what is asked, watched and measured."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from amb247.kernel.engine import open_engine

SERVER = """
import sys
from amb247.site import up
from amb247.site.database import database, migrate
with database():
    migrate()
    raise SystemExit(up._serve("127.0.0.1", int(sys.argv[1]), lambda: print("ready", flush=True)))
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Server:
    """`amb web` without the pages' front end; what it logs as an error is kept."""

    def __init__(self, *, contexts_of: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="amb-fuzz-"))
        self.folder.chmod(0o755)
        self.engine = open_engine(self.folder)
        self.port = free_port()
        self.errors: list[str] = []
        (self.folder / "static").mkdir()  # else WhiteNoise warns
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AMB_")}
        self.environment = kept | {
            "AMB_DATA": str(self.folder),
            "AMB_DATABASE_URL": self.engine.url,
            "AMB_CHECKOUT": os.environ["AMB_CHECKOUT"],
            "PYTHONPATH": str(Path(os.environ["AMB_CHECKOUT"]) / "src"),
            "DJANGO_SETTINGS_MODULE": "amb247.site.settings",
            "AMB_NGSI_OPEN": "1",
            "AMB_NGSI_CONTEXT_ALLOW": f"127.0.0.1:{contexts_of}",
            "AMB_NGSI_SOURCE_TIMEOUT": "0.5",
            "AMB_LOG": "json",
            "PYTHONUNBUFFERED": "1",
        }
        self.process = self._started()

    def _started(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(self.port)], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        threading.Thread(target=self._listen, args=(process,), daemon=True).start()
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise RuntimeError(f"the server did not start: {self.errors[-3:]}")
        return process

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            try:
                said = json.loads(line)
            except ValueError:
                self.errors.append(line.rstrip()[:2_000])
                continue
            if said.get("level") in {"error", "critical"} and "templatetags" not in said["logger"]:
                self.errors.append(line.rstrip()[-6_000:])

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def rss_mb(self) -> float:
        return float(psutil.Process(self.process.pid).memory_info().rss) / 1e6

    def threads(self) -> int:
        return psutil.Process(self.process.pid).num_threads()

    def files(self) -> int:
        return psutil.Process(self.process.pid).num_fds()

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        self.engine.stop()
        shutil.rmtree(self.engine.folder, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def settled_rss(server: Server) -> float:
    """RSS after a moment without requests."""
    time.sleep(0.3)
    return server.rss_mb()
