"""Qdrant's REST interface on loopback, with qdrant-client's local mode behind it.

For machines without a server (QDRANT_URL names a real one), and for the ways in which one can fail.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pydantic import TypeAdapter
from qdrant_client import QdrantClient, models

Answer = tuple[int, bytes]
Request = TypeVar("Request", models.QueryRequest, models.Prefetch)


class StandIn:
    """A server: `url`, the `client` behind it, and `fault`, which may answer in its place."""

    def __init__(self, version: str = "1.18.3") -> None:
        self.version = version
        self.client = QdrantClient(":memory:")
        self.indexes: dict[str, dict[str, str]] = {}
        self.keys: set[str | None] = set()
        """The api keys that were given."""
        self.connections: list[socket.socket] = []
        self.fault: Callable[[str, str], Answer | None] | None = None
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self._http.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that left
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def hang_up(self) -> None:
        """Close every connection there is."""
        while self.connections:
            with contextlib.suppress(OSError):
                self.connections.pop().shutdown(socket.SHUT_RDWR)

    def answer(self, method: str, path: str, body: bytes) -> Answer:
        parsed = json.loads(body) if body else {}
        if self.fault is not None and (fault := self.fault(method, path)) is not None:
            return fault
        try:
            with self._lock:
                result = self._do(method, path, parsed)
        except ValueError as error:
            status = 404 if "not found" in str(error) else 409 if "already exists" in str(error) else 400
            return status, json.dumps({"status": {"error": str(error)}, "time": 0}).encode()
        if path == "/":
            return 200, json.dumps(result).encode()
        plain = TypeAdapter(Any).dump_json({"result": result, "status": "ok", "time": 0.0})
        return 200, plain

    def _do(self, method: str, path: str, body: Any) -> Any:
        if path == "/collections":
            return self.client.get_collections()
        if path == "/":
            return {"title": "qdrant - vector search engine", "version": self.version}
        match = re.fullmatch(r"/collections/([^/]+)(/.*)?", path)
        if match is None:
            raise ValueError(f"{path} not found")
        name, rest = match[1].replace("%40", "@"), match[2] or ""
        done = {"operation_id": 1, "status": "completed"}
        match (method, rest):
            case ("GET", ""):
                info = self.client.get_collection(name).model_dump()
                schema = {
                    key: {"data_type": kind, "points": 0} for key, kind in self.indexes.get(name, {}).items()
                }
                return {**info, "payload_schema": schema}
            case ("GET", "/exists"):
                return {"exists": self.client.collection_exists(name)}
            case ("PUT", ""):
                wanted = models.CreateCollection(**body)
                return self.client.create_collection(
                    name,
                    vectors_config=wanted.vectors,
                    sparse_vectors_config=wanted.sparse_vectors,
                    metadata=wanted.metadata,
                )
            case ("PATCH", ""):
                return self.client.update_collection(name, metadata=body.get("metadata"))
            case ("DELETE", ""):
                self.indexes.pop(name, None)
                return self.client.delete_collection(name)
            case ("PUT", "/index"):
                self.client.get_collection(name)
                schema = body["field_schema"]
                kind = schema["type"] if isinstance(schema, dict) else schema
                self.indexes.setdefault(name, {})[body["field_name"]] = kind
                return done
            case ("PUT", "/points"):
                points = models.PointsList(**body)
                self.client.upsert(name, points.points, update_mode=points.update_mode)
                return done
            case ("POST", "/points/payload"):
                asked = models.SetPayload(**body)
                self.client.set_payload(name, asked.payload, points=asked.points or asked.filter)
                return done
            case ("POST", "/points/delete"):
                self.client.delete(name, models.FilterSelector(**body))
                return done
            case ("PUT", "/points/vectors"):
                self.client.update_vectors(name, [models.PointVectors(**point) for point in body["points"]])
                return done
            case ("PUT", vectors) if vectors.startswith("/vectors/"):
                config = models.SparseVectorNameConfig(**body)
                self.client.create_vector_name(name, vectors.removeprefix("/vectors/"), config)
                return done
            case ("POST", "/points"):
                asked = models.PointRequest(**body)
                return self.client.retrieve(
                    name, asked.ids, with_payload=asked.with_payload, with_vectors=asked.with_vector or False
                )
            case ("POST", "/points/query/batch"):
                batch = models.QueryRequestBatch(**body)
                return self.client.query_batch_points(name, [_unlimited(one) for one in batch.searches])
            case ("POST", "/points/count"):
                counted = models.CountRequest(**body)
                return self.client.count(name, count_filter=counted.filter)
            case ("POST", "/points/scroll"):
                page = models.ScrollRequest(**body)
                points, following = self.client.scroll(
                    name,
                    scroll_filter=page.filter,
                    limit=page.limit or 10,
                    offset=page.offset,
                    with_payload=page.with_payload,
                    with_vectors=page.with_vector or False,
                )
                return {"points": points, "next_page_offset": following}
        raise ValueError(f"{method} {path} not found")

    def _handler(standin) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # two small writes an answer: the second would wait for the first one's acknowledgement, 40 ms
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                standin.connections.append(self.connection)

            def _serve(self) -> None:
                standin.keys.add(self.headers.get("api-key"))
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                status, content = standin.answer(self.command, urlsplit(self.path).path, body)
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _serve

            def log_message(self, *args: object) -> None:
                pass

        return Handler


def _unlimited(request: Request) -> Request:
    """Local mode warns of `exact`, which it always is."""
    prefetch = request.prefetch
    if isinstance(prefetch, list):
        prefetch = [_unlimited(one) for one in prefetch]
    return request.model_copy(update={"params": None, "prefetch": prefetch})


def hang(seconds: float) -> Callable[[str, str], Answer | None]:
    """A fault: every answer takes that long."""

    def wait(method: str, path: str) -> Answer | None:
        time.sleep(seconds)
        return None

    return wait
