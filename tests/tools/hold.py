"""Many idle TCP connections, and few that are not: what a watcher of connections has to tell apart.

usage: hold.py serve PORT          accepts everything, holds it, and sends a byte a second to peers that are not on loopback
       hold.py dial HOST:PORT N    opens N connections, spread over loopback addresses where that is where HOST is, and holds them

Prints one line of JSON when it is ready. Ends when it is killed, or N cannot be opened.
"""

import json
import resource
import select
import socket
import sys
import time


def ready(**facts):
    print(json.dumps(facts), flush=True)


def serve(port):
    listener = socket.create_server(("0.0.0.0", port), backlog=4096)
    ready(listening=f"0.0.0.0:{port}")
    held, told = [], []
    due = time.monotonic()
    while True:
        readable, _, _ = select.select([listener], [], [], max(0.0, due - time.monotonic()))
        if readable:
            connection, (host, _) = listener.accept()
            (held if host.startswith("127.") else told).append(connection)
            connection.setblocking(False)
        if time.monotonic() >= due:
            due += 1.0
            for connection in told:
                try:
                    connection.send(b"!")
                except OSError:
                    pass


def dial(to, count):
    host, port = to.rsplit(":", 1)
    held = []
    for n in range(count):
        # One source address has fewer ports than some tests want connections.
        source = (f"127.0.0.{2 + n // 20_000}", 0) if host == "127.0.0.1" else None
        held.append(socket.create_connection((host, int(port)), timeout=20, source_address=source))
    ready(held=len(held))
    while True:
        time.sleep(3600)


def main():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    else:
        dial(sys.argv[2], int(sys.argv[3]))


if __name__ == "__main__":
    main()
