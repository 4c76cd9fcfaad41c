"""A git server over HTTP on one folder, read-only, as much of one as Flux needs to clone."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ADVERTISEMENT = b"001e# service=git-upload-pack\n0000"


@contextmanager
def serve(repository: Path, host: str) -> Iterator[str]:
    """Serve the repository while the block runs; its address, with `host` as others see this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.endswith("/info/refs?service=git-upload-pack"):
                return self.send_error(404)
            refs = _upload_pack(repository, "--http-backend-info-refs")
            return self._send("application/x-git-upload-pack-advertisement", ADVERTISEMENT + refs)

        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers.get("content-length", 0)))
            self._send("application/x-git-upload-pack-result", _upload_pack(repository, asked=asked))

        def _send(self, kind: str, content: bytes) -> None:
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((host, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{host}:{server.server_port}/vhm.git"
    finally:
        server.shutdown()
        server.server_close()


def _upload_pack(repository: Path, *options: str, asked: bytes = b"") -> bytes:
    command = ["git", "upload-pack", "--stateless-rpc", *options, str(repository)]
    return subprocess.run(command, input=asked, capture_output=True, check=True).stdout
