import socket
from dataclasses import dataclass

STORE = socket.create_connection(("store", 6379))


@dataclass
class Settings:
    port: int = 8080
