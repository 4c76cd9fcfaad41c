from __future__ import annotations

import msgspec


class Settings(msgspec.Struct, rename=str.upper):
    database_host: str
    log_level: str = "INFO"
    health_port: int = 8000
