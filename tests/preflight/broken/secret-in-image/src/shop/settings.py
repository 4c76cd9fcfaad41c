from __future__ import annotations

import msgspec


class Settings(msgspec.Struct, rename=str.upper):
    database_host: str
    log_level: str = "INFO"
    page_size: int = 20
