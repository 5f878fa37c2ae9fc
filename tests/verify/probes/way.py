"""The way to a place: prints why its name does not resolve, or no connection opens. Arguments: host, port."""

import json
import socket
import sys

CONNECT_TIMEOUT = 10  # seconds


def fault(host: str, port: int) -> str:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return f"{host} does not resolve: {error.strerror}"
    for family, kind, _, _, address in found:
        with socket.socket(family, kind) as connection:
            connection.settimeout(CONNECT_TIMEOUT)
            try:
                connection.connect(address)
            except OSError as error:
                said = error.strerror or str(error)
            else:
                return ""
    return f"{host}:{port} does not answer: {said}"


sys.stdout.write(json.dumps({"fault": fault(sys.argv[1], int(sys.argv[2]))}))
