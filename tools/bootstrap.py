"""Make `.venv` from the lock, then hand over to the platform's own command line. Standard library only.

Each step leaves a stamp, so that a later start skips what is up to date (about 0.1 s).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
MINIMUM_FREE_BYTES = (
    1_500_000_000  # measured: the environment, Node and the built front end take about 1.1 GB
)

REMEDIES = (
    (
        ("No space left on device", "Errno 28"),
        "El disco está lleno: libere al menos 1,5 GB y repita la orden.",
        "The disk is full: free at least 1.5 GB and run the command again.",
    ),
    (
        (
            "Could not find a version",
            "Temporary failure in name resolution",
            "Connection refused",
            "NewConnectionError",
            "Network is unreachable",
            "timed out",
            "ProxyError",
            "ConnectionError",
        ),
        (
            "No se pudo llegar al índice de paquetes de Python: revise la red o el proxy "
            "(variables HTTPS_PROXY, PIP_INDEX_URL) y repita la orden; continúa donde quedó."
        ),
        "The Python package index could not be reached: check the network or proxy and run again.",
    ),
    (
        ("do not match the hashes", "HASH"),
        (
            "Un paquete descargado no coincide con su huella en el archivo de bloqueo: no se instaló nada. "
            "Puede ser una descarga dañada; borre la caché con «pip cache purge» y repita."
        ),
        "A downloaded package does not match its hash in the lock file: nothing was installed.",
    ),
)


def main(arguments: list[str]) -> None:
    lock = ROOT / ("requirements-dev.lock" if needs_tools(arguments) else "requirements.lock")
    make_environment()
    install(lock)
    environment = dict(os.environ, AMB_CHECKOUT=str(ROOT), PYTHONUNBUFFERED="1")
    os.execve(PYTHON, [str(PYTHON), "-m", "amb247", *arguments], environment)  # noqa: S606 - our own interpreter


def needs_tools(arguments: list[str]) -> bool:
    """Tests, checks and benchmarks need the development lock; running the platform does not."""
    return bool(arguments) and arguments[0] in {"test", "check", "bench", "messages", "pictures"}


def make_environment() -> None:
    if PYTHON.exists() and subprocess.run([PYTHON, "-c", "import pip"], capture_output=True).returncode == 0:
        return
    if shutil.disk_usage(ROOT).free < MINIMUM_FREE_BYTES:
        stop(REMEDIES[0][1], REMEDIES[0][2])
    say("Creando el entorno de Python en .venv …")
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], capture_output=True, text=True)
    if made.returncode:
        stop(
            "No se pudo crear .venv. En Debian y Ubuntu falta a menudo: sudo apt install python3-venv",
            explain(made.stdout + made.stderr),
        )


def install(lock: Path) -> None:
    """Install exactly what `lock` names, refusing whatever does not match its hash."""
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    stamps = VENV / "amb-locks"
    if stamps.exists() and digest in stamps.read_text().split():
        return
    started = time.monotonic()
    say(f"Instalando los paquetes de {lock.name} (la primera vez descarga unos 300 MB) …")
    command = [
        PYTHON,
        "-m",
        "pip",
        "install",
        "--require-hashes",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--disable-pip-version-check",
        "--no-input",
        "--quiet",
        "--retries",
        "3",
        "-r",
        lock,
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        explain_and_stop(done.stdout + done.stderr)
    source = Path(
        subprocess.run(
            [PYTHON, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    )
    (source / "amb247-checkout.pth").write_text(f"{ROOT / 'src'}\n")
    # The development lock contains the other: installing it makes both true.
    known = [digest]
    if lock.name == "requirements-dev.lock":
        known.append(hashlib.sha256((ROOT / "requirements.lock").read_bytes()).hexdigest())
    stamps.write_text("\n".join(known) + "\n")
    say(f"Paquetes listos en {time.monotonic() - started:.0f} s.")


def explain(output: str) -> str:
    return "\n".join(output.strip().splitlines()[-6:])


def explain_and_stop(output: str) -> None:
    for signs, spanish, english in REMEDIES:
        if any(sign in output for sign in signs):
            stop(spanish, f"{english}\n{explain(output)}")
    stop("No se pudieron instalar los paquetes.", explain(output))


def say(words: str) -> None:
    print(f"· {words}", file=sys.stderr, flush=True)


def stop(spanish: str, english: str) -> None:
    print(f"\n{spanish}\n{english}", file=sys.stderr)
    raise SystemExit(70)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except OSError as problem:
        if problem.errno == 28:
            stop(REMEDIES[0][1], REMEDIES[0][2])
        raise
