"""Files of lines, plain or compressed, read block by block."""

import hashlib
from collections.abc import Iterator
from typing import IO, Final

from hedgegrid_assets.batch import Block, count_of, lists_of_texts
from hedgegrid_assets.errors import EnvironmentFault, RawDamaged, SeveralInOne
from hedgegrid_assets.store.codecs import MAGIC, MemberStream, in_utf8
from hedgegrid_assets.store.objects import AnyFile, bytes_in
from hedgegrid_assets.store.threads import prefetch

BLOCK_BYTES: Final = 8 << 20
_READ_BYTES: Final = 64 << 10
LONGEST_LINE: Final = 16 << 20
_MOST_LINES: Final = 1 << 17
"""Lines of a block: fewer bytes than usual only where a line has less than 64 of them."""
_MOST_LEVELS: Final = 1 << 18
"""Beginnings of lists of texts in a block: levels of a book, each of which becomes a row."""
_NOT_CONTENT: Final = (".DS_Store", "Thumbs.db", "desktop.ini")
_QUOTED_BACK: Final = 64 << 10
_QUOTE: Final = ord('"')


class BlockReader:
    """Reads a plain, gzip (many members), zstd (many frames), bzip2 or zip (one member) file in blocks of lines.

    The first bytes tell which. With ``quoted`` no block ends inside a pair of quotes (but for a stray quote, that has
    no other within 64 KiB). With ``encoding``, a codec of Python, the bytes become UTF-8 on the way; what the codec
    cannot read stays what UTF-8 cannot be.

    A stream that ends too early gives the lines that it holds, and ``truncated`` is set; a stream that is not what
    it says (bad checksum, junk behind the end) raises RawDamaged. After the last block ``sha256`` and ``bytes``
    of the file as stored and ``lines`` are known; ``packed``: what it is packed with, from its first block on.
    """

    def __init__(self, path: AnyFile, block_bytes: int | None = None, *, quoted: bool = False) -> None:
        self.path = path
        self.quoted = quoted
        self.sha256 = ""
        self.bytes = 0
        self.lines = 0
        self.truncated = False
        self.packed: str | None = None
        self.encoding: str | None = None
        self._block_bytes = block_bytes or BLOCK_BYTES

    def __iter__(self) -> Iterator[Block]:
        return self._blocks() if self._is_small() else prefetch(self._blocks())

    def _is_small(self) -> bool:
        """Read in one piece: no thread is worth it."""
        try:
            return bytes_in(self.path) < _READ_BYTES
        except OSError:  # reading it says why
            return False

    def _blocks(self) -> Iterator[Block]:
        digest = hashlib.sha256()
        try:
            with self.path.open("rb") as file:
                yield from self._cut(in_utf8(self._chunks(file, digest), self.encoding))
        except OSError as error:
            raise EnvironmentFault(f"cannot read {self.path}: {error.strerror or error}") from error
        self.sha256 = digest.hexdigest()

    def _chunks(self, file: IO[bytes], digest: "hashlib._Hash") -> Iterator[bytes]:
        head = file.read(_READ_BYTES)
        kind = next((name for magic, name in MAGIC.items() if head.startswith(magic)), None)
        self.packed = kind
        if kind == "zip":
            yield from self._unzip(file, digest)
            return
        stream = MemberStream(kind or "", self.path)
        while head:
            digest.update(head)
            self.bytes += len(head)
            if kind is None:
                yield head
            else:
                yield from stream.feed(head)
            head = file.read(_READ_BYTES)
        self.truncated = stream.is_open

    def _unzip(self, file: IO[bytes], digest: "hashlib._Hash") -> Iterator[bytes]:
        """The one file in a zip file."""
        import zipfile

        from hedgegrid_assets.store.zips import ZIP_ERRORS, unzipped

        file.seek(0)
        while chunk := file.read(1 << 20):
            digest.update(chunk)
            self.bytes += len(chunk)
        try:
            with zipfile.ZipFile(file) as archive:
                members = [member for member in archive.infolist() if _is_content(member.filename)]
                if len(members) != 1:
                    raise SeveralInOne(self.path, [member.filename for member in members])
                yield from unzipped(archive, members[0], self.path)
        except ZIP_ERRORS as error:
            raise RawDamaged(self.path, f"its zip stream is broken ({error})") from None

    def _cut(self, chunks: Iterator[bytes]) -> Iterator[Block]:
        held: list[bytes] = []
        size, enough = 0, self._block_bytes
        for chunk in chunks:
            held.append(chunk)
            size += len(chunk)
            if size < enough:
                continue
            data, rest = self._whole_lines(held)
            if not data and size > LONGEST_LINE:
                raise RawDamaged(self.path, f"a line of more than {LONGEST_LINE >> 20} MiB: this is no text of lines")
            if data:
                yield from self._blocks_of(data)
            held, size = [rest], len(rest)
            enough = self._block_bytes if data else size + self._block_bytes
        data = b"".join(held)
        if data or self.truncated:
            yield from self._blocks_of(data, cut=not data.endswith(b"\n"), truncated=self.truncated)

    def _whole_lines(self, chunks: list[bytes]) -> tuple[bytes, bytes]:
        """Chunks as whole lines (maybe none), and the rest; usually only the last chunk is cut, so that all is copied once."""
        end = chunks[-1].rfind(b"\n") + 1
        whole = [*chunks[:-1], chunks[-1][:end]]  # no view: joining ``bytes`` alone does without Python's lock
        if end and not (self.quoted and _is_open(chunks, whole)):
            return b"".join(whole), chunks[-1][end:]
        data = b"".join(chunks)
        end = (_end_outside_quotes(data) if self.quoted else data.rfind(b"\n")) + 1
        return data[:end], data[end:]

    def _blocks_of(self, data: bytes, *, cut: bool = False, truncated: bool = False) -> Iterator[Block]:
        """A block, or several where lines are very short or hold many levels: so that memory does not grow with their number."""
        block = Block(data, self.lines, cut, truncated)
        if block.lines > _MOST_LINES or lists_of_texts(data) > _MOST_LEVELS:
            head, rest = self._whole_lines([data[: len(data) // 2]])
            if head:
                yield from self._blocks_of(head)
                yield from self._blocks_of(rest + data[len(data) // 2 :], cut=cut, truncated=truncated)
                return
        self.lines += block.lines
        yield block


def _is_content(name: str) -> bool:
    """A member of an archive that somebody put there: no folder, nothing that a Mac or a file manager adds."""
    *folders, file = name.split("/")
    return bool(file) and "__MACOSX" not in folders and not file.startswith("._") and file not in _NOT_CONTENT


def _is_open(chunks: list[bytes], whole: list[bytes]) -> bool:
    """A pair of quotes is open at the end of the whole lines of some chunks."""
    return any(b'"' in chunk for chunk in chunks) and sum(count_of(_QUOTE, chunk) for chunk in whole) % 2 == 1


def _end_outside_quotes(data: bytes) -> int:
    """The last line end with as many quotes before it as can be paired; the very last where there is none near."""
    last = end = data.rfind(b"\n")
    before = data.count(b'"', 0, last + 1)
    while before % 2 and end >= 0 and last - end < _QUOTED_BACK:
        previous = data.rfind(b"\n", 0, end)
        before -= data.count(b'"', previous + 1, end + 1)
        end = previous
    return end if before % 2 == 0 and end >= 0 else last
