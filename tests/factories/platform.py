"""A whole platform in processes of its own, as `./amb up` starts it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
from factories.processes import processes_of, wait_until


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _end_with_parent() -> None:
    """A test run that is killed leaves no platform behind (PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)


class Platform:
    """`amb up` with arguments, in a data directory of its own. What it says is in `said`."""

    def __init__(self, *arguments: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="amb-e2e-"))
        self.folder.chmod(0o755)
        self.data = self.folder / "data"
        self.port = free_port()
        self.arguments = arguments
        self.process: subprocess.Popen[str] | None = None
        self.said = ""

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AMB_")}
        return kept | {
            "AMB_DATA": str(self.data),
            "AMB_CHECKOUT": os.environ["AMB_CHECKOUT"],
            "PYTHONUNBUFFERED": "1",
            "AMB_LOG": "json",
        }

    def start(self, limit_s: float = 120.0) -> Platform:
        """Start and wait until the address is printed."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "amb247", "up", "--port", str(self.port), *self.arguments],
            env=self.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
            preexec_fn=_end_with_parent,
        )  # fmt: skip
        threading.Thread(target=self._listen, args=(self.process,), daemon=True).start()
        if not wait_until(
            lambda: "Ctrl-C detiene todo" in self.said or self.process.poll() is not None, limit_s
        ):
            raise TimeoutError(self.said[-3000:])
        if self.process.poll() is not None:
            raise RuntimeError(f"ended with {self.process.returncode}: {self.said[-3000:]}")
        return self

    def _listen(self, process: subprocess.Popen[str]) -> None:
        with process.stdout as lines:
            for line in lines:
                self.said += line

    def interrupt(self) -> int:
        """Ctrl-C, as a terminal sends it; the exit code."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(40)

    def kill(self) -> None:
        """kill -9 of everything that runs for this data directory."""
        for process in processes_of(self.data):
            with contextlib.suppress(psutil.NoSuchProcess):  # the death of another may have taken it along
                process.kill()
        self.process.wait(10)
        self.said = ""

    def remains(self) -> list[str]:
        found = []
        for process in processes_of(self.data):
            with contextlib.suppress(psutil.Error):
                found.append(" ".join(process.cmdline())[:100])
        return found

    def accounts(self) -> dict[str, str]:
        """The printed demonstration accounts: address -> password."""
        return dict(re.findall(r"^ +(\S+@amb\.example) +(\S+)", self.said, re.MULTILINE))

    @contextlib.contextmanager
    def signed_in(self, email: str) -> Iterator[httpx.Client]:
        with httpx.Client(base_url=self.url, timeout=20) as client:
            client.get("/cuenta/login/")
            form = {"login": email, "password": self.accounts()[email]}
            form["csrfmiddlewaretoken"] = client.cookies["csrftoken"]
            answer = client.post("/cuenta/login/", data=form)
            assert answer.status_code == 302, answer.text[:500]
            yield client

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.interrupt()
        wait_until(lambda: not self.remains(), 15)
        shutil.rmtree(self.folder, ignore_errors=True)
