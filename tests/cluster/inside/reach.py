"""Runs in a pod: which of the addresses given as arguments (host:port) accept a connection? Prints JSON."""

import json
import socket
import sys


def reaches(address):
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=3).close()
    except OSError:
        return False
    return True


print(json.dumps({address: reaches(address) for address in sys.argv[1:]}))
