"""What the Python fixtures share: a port, the first line on stdout, and what the bot does.

The bot answers each text with `echo <text>`, and that call's answer with `sent <message id>`: who sees both calls knows
that events reach the framework and that answers do.
"""

import argparse
import json
import os
import socket
import sys
import threading
import time


def flags(**more):
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--token", default="")
    for name, (kind, default) in more.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=default)
    given = parser.parse_args()
    # The servers cannot tell which port they got, so one is chosen for them.
    if given.port == 0:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            given.port = probe.getsockname()[1]
    return given


def announce(port):
    """Says where it listens once it does, as the first line on stdout; from a thread, as the server has the main one."""

    def wait():
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.02)
        with writing:
            waiting.insert(0, {"listening": f"127.0.0.1:{port}", "pid": os.getpid()})
            announced.set()
            flush()

    threading.Thread(target=wait, daemon=True).start()


announced = threading.Event()
writing = threading.Lock()
waiting = []


def say(line):
    """The address is said first, whatever else happens while the server starts."""
    with writing:
        waiting.append(line)
        if announced.is_set():
            flush()


def flush():
    for line in waiting:
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
    waiting.clear()
    sys.stdout.flush()
