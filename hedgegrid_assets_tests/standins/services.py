"""PostgreSQL and Redis on loopback, run by an ordinary user; tests are skipped where they are not installed."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hedgegrid_assets_tests.standins.ports import held_ports


@contextmanager
def postgres() -> Iterator[int]:
    """The port of a server with the user ``hedgegrid``."""
    pytest.importorskip("dagster_postgres", reason="the extra `postgres` is not installed")
    initdb, server = _of_postgres("initdb"), _of_postgres("postgres")
    if initdb is None or server is None:
        pytest.skip("no PostgreSQL here: apt-get install postgresql")
    user = _ordinary_user()
    with _folder("postgres", user) as folder, held_ports(1) as (port,):
        data = str(folder / "data")
        made = [initdb, "-D", data, "-U", "hedgegrid", "--auth", "trust", "--no-sync"]
        subprocess.run(made, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL)
        command = [server, "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", str(folder), "-F"]
        with _running(command, user, folder, port):
            yield port


@contextmanager
def redis() -> Iterator[int]:
    """The port of a server that keeps nothing on disk."""
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip("no Redis here: apt-get install redis-server")
    user = _ordinary_user()
    with _folder("redis", user) as folder, held_ports(1) as (port,):
        command = [server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        with _running(command, user, folder, port):
            yield port


def _of_postgres(name: str) -> str | None:
    """A program; Debian has them beside the path, a folder a version."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: int(each.parent.name))
    return shutil.which(name) or (shutil.which(name, path=str(folders[-1])) if folders else None)


def _ordinary_user() -> str | None:
    """Whom to run a server as, since PostgreSQL refuses root; None: as we are."""
    return next((name for name in ("postgres", "nobody") if _exists(name)), None) if os.geteuid() == 0 else None


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


@contextmanager
def _folder(name: str, user: str | None) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=f"hedgegrid-{name}-"))
    if user:
        shutil.chown(folder, user)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running(command: list[str], user: str | None, folder: Path, port: int) -> Iterator[None]:
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, user=user, cwd=folder, stdout=quiet, stderr=quiet)
    try:
        _wait_for(port)
        yield
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(port: int) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < until, "the server did not start"
            time.sleep(0.2)
        else:
            return
