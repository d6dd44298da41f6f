"""Commands are killed at seeded points and run once more: every byte must be as if nothing had been.

By hand: ``python -m hedgegrid_assets_tests.survival --trials 300 --seed 7``; one trial again: ``--only 41`` besides.

With ``--full`` no command is killed, but the disk is full at some point, as root: it must say so, end with 1, leave nothing half
done, and when there is room the next run must give the same bytes.

A trial kills a command by SIGKILL once or twice, at its n-th step that the disk or another process could see (a file
opened for writing, synced, renamed, linked or removed; a folder made or removed), or after a while (not with ``--steps``,
which kills at the same points on any machine). Each command is a
fork of this process, which has imported all and worked on nothing, so that a trial costs no start of Python.
"""

import argparse
import atexit
import contextlib
import difflib
import faulthandler
import gc
import importlib
import json
import os
import random
import shutil
import signal
import sys
import tarfile
import tempfile
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hedgegrid_assets_tests.survival_cases import TURNS, Case, Work

Tree = dict[str, bytes]
"""Name -> content of all that is compared; a folder ends with a slash."""

_PATIENCE: Final = 120.0
"""Seconds, before a command is taken for one that hangs."""
_TIMED: Final = 0.2
"""So many of the kills come after a while: between two steps, as within a transaction of SQLite."""
_OFTEN_LEFT: Final = 0.6
"""Of its time undisturbed, in which a command had more to import."""
_STEPS: Final = frozenset(
    {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "sqlite3.connect"}
)
_CLOCKS: Final = frozenset({"fetched_at", "made_at", "at"})
"""Fields of documents that tell when something was made; a checksum proves them."""
_FULL: Final = ("No space left", "disk is full", "File too large")
_NOTES: Final = Path(tempfile.mkdtemp(prefix="survival-notes-"))
"""What commands say, which must not need room on a full disk."""
atexit.register(shutil.rmtree, _NOTES, ignore_errors=True)
_NOT_COMPARED: Final = (".dagster", ".hedgegrid/locks", "SHA256SUMS", ".slots")
"""Dagster's own, and locks: which slots of a provider were held first is chance."""


@dataclass(frozen=True)
class Undisturbed:
    """A command that was left alone: its steps, its seconds, and what it has made."""

    case: Case
    folder: Path
    steps: int
    seconds: float
    tree: Tree
    bytes: int


@dataclass(frozen=True)
class Trial:
    """What one trial came to: where it was killed, and what was wrong after the next run, if anything."""

    number: int
    case: str
    killed: tuple[str, ...]
    faults: tuple[str, ...]

    def __str__(self) -> str:
        told = "; ".join(self.faults) or "as if undisturbed"
        return f"{self.number:4} {self.case:20} {', '.join(self.killed) or 'not killed: it had ended'}: {told}"


def trials(
    count: int,
    seed: int,
    folder: Path,
    only: int | None = None,
    cases: Sequence[Case] = TURNS,
    *,
    full: bool = False,
    timed: float = _TIMED,
) -> Iterator[Trial]:
    """So many trials, the cases in turn; the same seed draws the same points. ``full``: ``folder`` is a disk that may be filled.

    ``timed``: how many of the kills come after a while, not at a step.
    """
    known: dict[str, Undisturbed] = {}
    for number in range(count) if only is None else (only,):
        case = cases[number % len(cases)]
        if case.name not in known:
            known[case.name] = _undisturbed(case, folder / case.name.replace(" ", "-"))
        chance = random.Random(f"{seed}/{number}")
        yield _full(number, known[case.name], chance) if full else _trial(number, known[case.name], chance, timed)


def _undisturbed(case: Case, folder: Path) -> Undisturbed:
    """Make the tree, keep a copy of it, and run the command on it."""
    home = folder / "home"
    home.mkdir(parents=True)
    _expect(case, "ready", *_forked(case.ready, home))
    shutil.copytree(home, folder / "ready", symlinks=True)
    began, free = time.monotonic(), shutil.disk_usage(home).free
    _expect(case, "command", *_forked(case.command, home))
    _import_what_it_imported()
    seconds, taken = time.monotonic() - began, free - shutil.disk_usage(home).free
    steps = json.loads((_NOTES / "done").read_text())["steps"]
    _expect(case, "told", *_forked(case.told, home))
    return Undisturbed(case, folder, steps, seconds, tree(home), max(taken, 0))


def _import_what_it_imported() -> None:
    """A command imports some packages only when it needs them: those after it shall find them here."""
    for name in json.loads((_NOTES / "done").read_text())["modules"]:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def _expect(case: Case, what: str, code: int, said: str) -> None:
    if code:
        raise RuntimeError(f"{case.name}: {what} ended with {code}, undisturbed: {said}")


def _trial(number: int, plain: Undisturbed, chance: random.Random, timed: float) -> Trial:
    home = plain.folder / "home"
    shutil.rmtree(home)
    shutil.copytree(plain.folder / "ready", home, symlinks=True)
    killed: list[str] = []
    again = plain.case.again or plain.case.command
    for work in (plain.case.command, again)[: chance.choice((1, 1, 2))]:
        at = chance.randrange(plain.steps) if chance.random() >= timed else None
        after = chance.uniform(0, plain.seconds * _OFTEN_LEFT) if at is None else None
        code, said = _forked(work, home, at, after)
        if code == -signal.SIGKILL:
            killed.append(f"step {at}" if at is not None else f"{after:.3f} s")
        elif code:
            return Trial(number, plain.case.name, tuple(killed), (f"ended with {code}: {said}",))
    code, said = _forked(again, home)
    faults = [f"the next run ended with {code}: {said}"] if code else []
    code, said = _forked(plain.case.told, home)
    faults += [f"cannot be looked at ({code}): {said}"] if code else []
    return Trial(number, plain.case.name, tuple(killed), (*faults, *differences(plain.tree, tree(home))))


def _full(number: int, plain: Undisturbed, chance: random.Random) -> Trial:
    """On a disk that has room for a part of what the command needs."""
    home, filler = plain.folder / "home", plain.folder / "filler"
    shutil.rmtree(home)
    shutil.copytree(plain.folder / "ready", home, symlinks=True)
    room = chance.randrange(plain.bytes * 5 // 4 + 64 * 1024)
    free = shutil.disk_usage(home).free
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(free - room, 1))
    code, said = _forked(plain.case.command, home)
    faults = [] if code in {0, 1} else [f"ended with {code}: {said}"]
    if code == 1 and not any(word in said for word in _FULL):
        faults.append(f"does not say that the disk is full: {said}")
    faults += [f"left by it: {name}" for name in tree(home) if ".hedgegrid-" in name or name.endswith(".part")]
    filler.unlink()
    again, told = _forked(plain.case.again or plain.case.command, home)
    faults += [f"the next run ended with {again}: {told}"] if again else []
    again, told = _forked(plain.case.told, home)
    faults += [f"cannot be looked at ({again}): {told}"] if again else []
    where = (f"full after {room:,} bytes",) if code else ()
    return Trial(number, plain.case.name, where, (*faults, *differences(plain.tree, tree(home))))


# ---------------------------------------------------------------- a process that is killed


def _forked(work: Work, home: Path, at: int | None = None, after: float | None = None) -> tuple[int, str]:
    """(exit code, its last words) of a piece of work in a process of its own, killed at a step or after some seconds."""
    if threading.active_count() > 1:
        raise RuntimeError("a fork is safe as long as nothing was begun")
    output = _NOTES / "output"
    with warnings.catch_warnings(action="ignore"):  # what polars and pyarrow start by themselves survives a fork
        process = os.fork()
    if not process:
        _child(work, home, output, at)
    status = _waited(process, _PATIENCE if after is None else after)
    if status is None:
        os.kill(process, signal.SIGKILL)
        status = os.waitpid(process, 0)[1]
        if after is None:
            return 124, f"it hangs: {_last_words(output)}"
    return os.waitstatus_to_exitcode(status), _last_words(output)


def _waited(process: int, seconds: float) -> int | None:
    """The status of a process, None if it is still there after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return status
        if time.monotonic() >= end:
            return None
        time.sleep(0.002)


def _child(work: Work, home: Path, output: Path, at: int | None) -> None:
    """Never comes back."""
    code = 99
    known = set(sys.modules)
    try:
        os.setpgid(0, 0)
        handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(handle, stream)
        faulthandler.enable()  # where a library crashes is told by the parent
        steps = _Steps(at)
        code = work(home)
        gc.collect()
        (_NOTES / "done").write_text(json.dumps({"steps": steps.done, "modules": sorted(sys.modules.keys() - known)}))
    except BaseException:  # noqa: BLE001 - told by the parent
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


class _Steps:
    """Counts what a process does to the disk, and kills it right before its n-th step."""

    def __init__(self, at: int | None) -> None:
        self.done = 0
        self._at = at
        self._sync = os.fsync
        os.fsync = self._counted_sync
        sys.addaudithook(self._seen)

    def _counted_sync(self, fd: Any) -> None:
        self._step()
        self._sync(fd)

    def _seen(self, event: str, details: tuple[Any, ...]) -> None:
        if event in _STEPS or (event == "open" and details[2] & (os.O_WRONLY | os.O_RDWR)):
            self._step()

    def _step(self) -> None:
        if self.done == self._at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.done += 1


def _last_words(output: Path) -> str:
    lines = output.read_text(errors="replace").splitlines() if output.exists() else []
    return " | ".join(line for line in lines[-12:] if line.strip())


# ---------------------------------------------------------------- what is left


def tree(home: Path) -> Tree:
    """Every file and folder but locks and Dagster's own, archives by their members, documents without their clocks."""
    found: Tree = {}
    for path in sorted(home.rglob("*")):
        name = str(path.relative_to(home))
        if any(part in name for part in _NOT_COMPARED) or path.name == "lock" or path.suffix == ".lock":
            continue
        if path.is_dir():
            found[f"{name}/"] = b""
        elif path.suffix == ".tar":
            found |= _members(name, path)
        else:
            found[name] = _without_clock(path.name, path.read_bytes())
    return found


def _members(name: str, path: Path) -> Tree:
    with tarfile.open(path) as tar:
        held = {member.name: tar.extractfile(member) for member in tar}
        files = {inner: file.read() for inner, file in held.items() if file and "SHA256SUMS" not in inner}
    return {f"{name}!{inner}": _without_clock(inner, data) for inner, data in files.items()}


def _without_clock(name: str, data: bytes) -> bytes:
    """A document that tells when it was made, without that and without the checksums of such."""
    if not name.endswith(".json") or not any(f'"{clock}"'.encode() in data for clock in _CLOCKS):
        return data
    return json.dumps(_stripped(json.loads(data)), sort_keys=True, indent=1).encode()


def _stripped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _stripped(inner) for key, inner in value.items() if key not in {*_CLOCKS, "checksum"}}
    return [_stripped(inner) for inner in value] if isinstance(value, list) else value


def differences(expected: Tree, found: Tree) -> Iterator[str]:
    yield from (f"left over: {name}" for name in sorted(found.keys() - expected.keys()))
    yield from (f"missing: {name}" for name in sorted(expected.keys() - found.keys()))
    for name in sorted(expected.keys() & found.keys()):
        if expected[name] != found[name]:
            yield f"differs: {name} {_first_difference(expected[name], found[name])}"


def _first_difference(expected: bytes, found: bytes) -> str:
    """A few words of what differs in a text."""
    if b"\0" in expected + found:
        return f"({len(expected)} bytes, found {len(found)})"
    before, after = (data.decode(errors="replace").replace(",", ",\n").splitlines() for data in (expected, found))
    lines = [line.strip() for line in difflib.unified_diff(before, after, lineterm="", n=0)]
    return f"({' '.join(lines[2:12])})"


# ---------------------------------------------------------------- by hand


def main(words: Sequence[str] | None = None) -> int:
    """Tell every trial; 1 if one was not survived."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="this trial alone")
    parser.add_argument("--case", help="these cases alone: the start of their names")
    parser.add_argument("--steps", action="store_true", help="kill at steps alone, which are the same on any machine")
    parser.add_argument("--keep", type=Path, help="an empty folder to work in, which stays")
    parser.add_argument(
        "--full", type=Path, help="fill this disk instead of killing: a small one, such as a tmpfs of its own"
    )
    said = parser.parse_args(words)
    cases = [case for case in TURNS if case.name.startswith(said.case or "")]
    with tempfile.TemporaryDirectory(prefix="survival-") as temporary:
        done: list[Trial] = []
        for trial in trials(
            said.trials,
            said.seed,
            said.full or said.keep or Path(temporary),
            said.only,
            cases,
            full=said.full is not None,
            timed=0 if said.steps else _TIMED,
        ):
            sys.stdout.write(f"{trial}\n")
            sys.stdout.flush()
            done.append(trial)
    kills = Counter(trial.case for trial in done for _ in trial.killed)
    sys.stdout.write(f"{len(done)} trials with seed {said.seed}, {kills.total()} kills or full disks: {dict(kills)}\n")
    failed = [trial for trial in done if trial.faults]
    sys.stdout.write(f"{len(failed)} not survived\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
