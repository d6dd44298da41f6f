"""The steps of the image for Kubernetes, run on this machine in a folder in the place of its file system; then its command.

``python scripts/image.py``: fails where a step does, or where the server of code that it starts does not answer.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent.parent
DOCKERFILE: Final = HERE / "examples/deploy/kubernetes/Dockerfile"
PATIENCE: Final = 120.0
"""Seconds for the command to answer."""
_ABSOLUTE: Final = re.compile(r"(?<![\w.$/])/(?=\w)")
_OURS: Final = re.compile(r"useradd [^&]*&& | && chown .*")
"""What only root may do, and what is of no use but in an image."""


def steps(text: str) -> Iterator[tuple[str, str]]:
    """Instructions and what they are given."""
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        word, _, rest = line.partition(" ")
        if word.isupper():
            yield word, rest


class Image:
    """A folder that the steps are run in."""

    def __init__(self, root: Path) -> None:
        self.root, self._folder = root, root
        self.environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        self.environment.pop("VIRTUAL_ENV", None)

    def do(self, word: str, rest: str) -> None:
        """One step."""
        if word == "WORKDIR":
            self._folder = Path(self._here(rest))
            self._folder.mkdir(parents=True, exist_ok=True)
        elif word == "COPY" and not rest.startswith("--from"):  # another stage is the same folder
            self._copy(*rest.split())
        elif word == "ENV":
            for name, value in re.findall(r"(\w+)=(\S+)", rest):
                self.environment[name] = self._here(value).replace("$PATH", self.environment["PATH"])
        elif word == "RUN":
            self.run(self._here(_OURS.sub("", rest)), shell=True)

    def run(self, command: str | list[str], *, shell: bool = False) -> None:
        """A command, told."""
        sys.stderr.write(f"+ {command}\n")
        subprocess.run(command, shell=shell, check=True, cwd=self._folder, env=self.environment)

    def start(self, command: list[str]) -> subprocess.Popen[bytes]:
        """A command that stays."""
        return subprocess.Popen(command, cwd=self._folder, env=self.environment)

    def _copy(self, *words: str) -> None:
        *sources, given = words
        target = self._folder / self._here(given)
        for source in sources:
            if (HERE / source).is_dir():
                shutil.copytree(HERE / source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                file = target / Path(source).name if given.endswith("/") else target
                file.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(HERE / source, file)

    def _here(self, text: str) -> str:
        """Absolute paths, below the folder."""
        return _ABSOLUTE.sub(f"{self.root}/", text)


def answers(image: Image, command: list[str]) -> bool:
    """The image's command is a server of code, and says that it is well."""
    program = shutil.which(command[0], path=image.environment["PATH"])
    assert program is not None
    assert Path(program).is_relative_to(image.root), f"{program} is not of the image"
    port = command[command.index("--port") + 1]
    process, end = image.start(command), time.monotonic() + PATIENCE
    try:
        while time.monotonic() < end and process.poll() is None:
            asked = [program, "api", "grpc-health-check", "--port", port]
            if subprocess.run(asked, env=image.environment, capture_output=True, check=False).returncode == 0:
                return True
            time.sleep(1)
        return False
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    """That of the image may be another's here."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def main() -> int:
    """All steps, then the command."""
    found: Mapping[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="image-") as folder:
        image = Image(Path(folder))
        for word, rest in steps(DOCKERFILE.read_text(encoding="utf-8")):
            found = {**found, word: rest}
            image.do(word, rest)
        command = re.findall(r'"([^"]*)"', found["CMD"])
        here = {"0.0.0.0": "127.0.0.1", "3030": str(free_port())}
        return 0 if answers(image, [here.get(word, word) for word in command]) else 1


if __name__ == "__main__":
    sys.exit(main())
