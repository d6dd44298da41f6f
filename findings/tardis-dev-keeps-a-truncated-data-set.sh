#!/usr/bin/env bash
# tardis-dev stores a data set whose gzip stream ends half-way as if it were whole.
# Expected: an error: the file does not decode to its end.
# Seen:     no error; the truncated file has its final name, and the next call finds it and asks for nothing.
# With:     tardis-dev==5.0.4, on CPython 3.12 and newer. Exit 0 while that is so, 1 once it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for python in "${PYTHON:-}" python3.13 python3.12 python3 "$HOME"/.pyenv/versions/3.1[23]*/bin/python; do
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && break
done
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check tardis-dev==5.0.4
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import gzip
import pathlib
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tardis_dev import download_datasets

WHOLE = gzip.compress("".join(f"binance-futures,BTCUSDT,{n},{n}\n" for n in range(1000)).encode())
ASKED = []


class Half(BaseHTTPRequestHandler):
    """Half of a gzip stream, with a Content-Length that is right for that half."""

    def do_GET(self) -> None:
        """Answer."""
        ASKED.append(self.path)
        half = WHOLE[: len(WHOLE) // 2]
        self.send_response(200)
        self.send_header("Content-Length", str(len(half)))
        self.end_headers()
        self.wfile.write(half)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


server = ThreadingHTTPServer(("127.0.0.1", 0), Half)
threading.Thread(target=server.serve_forever, daemon=True).start()
asked = dict(
    exchange="binance-futures", data_types=["trades"], symbols=["BTCUSDT"], from_date="2024-01-01",
    to_date="2024-01-02", download_dir="sets", endpoint=f"http://127.0.0.1:{server.server_port}/v1",
)
download_datasets(**asked)
(path,) = [path for path in pathlib.Path("sets").rglob("*") if path.is_file()]
ended = zlib.decompressobj(31)
ended.decompress(path.read_bytes())
first = len(ASKED)
download_datasets(**asked)
print(f"{path.name}: {path.stat().st_size} of {len(WHOLE)} bytes, gzip ends: {ended.eof}; requests {first}, then {len(ASKED) - first}")
assert not ended.eof
assert len(ASKED) == first == 1
PYTHON
