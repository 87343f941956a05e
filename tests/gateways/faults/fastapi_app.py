"""A FastAPI application as Bisheng's backend is one, on uvicorn or on Hypercorn, with the routes that faults are about.

    python fastapi_app.py [--port N] [--server hypercorn] [--ping SECONDS] [--restart-after SECONDS] [--cert F --key F]
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import sys
import time

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, WebSocket, WebSocketDisconnect

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, default=0)
parser.add_argument("--server", default="uvicorn")
parser.add_argument("--ping", type=float, default=20.0, help="uvicorn's ping interval and patience; 20 is its default")
parser.add_argument("--restart-after", type=float, default=0.0, help="when a session has been held for so long")
given = parser.parse_args()

app = FastAPI()


def print_line(line):
    print(json.dumps(line), flush=True)


def restart():
    """What a supervisor does on a new release: SIGTERM, and the program again once it has gone."""
    os.kill(os.getpid(), signal.SIGTERM)


@app.get("/health")
def health():
    return {"status": "OK"}


@app.websocket("/api/v1/workflow/chat/{name}")
async def chat(websocket: WebSocket, name: str):
    await websocket.accept()
    opened = time.monotonic()
    timer = None
    if given.restart_after:
        timer = asyncio.get_running_loop().call_later(given.restart_after, restart)
    code, reason = 1006, ""
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect as gone:
        code, reason = gone.code, gone.reason or ""
    finally:
        if timer:
            timer.cancel()
        age = int((time.monotonic() - opened) * 1000)
        print_line({"end": "server", "code": code, "reason": reason, "at": int(time.time() * 1000), "age": age})


@app.websocket("/denied")
async def denied(websocket: WebSocket):
    await websocket.close(1008)


def nobody():
    raise HTTPException(status_code=401, detail="Could not validate credentials")


def forbidden():
    raise HTTPException(status_code=403, detail="No permission")


@app.websocket("/unauthorised")
async def unauthorised(websocket: WebSocket, _user=Depends(nobody)):
    await websocket.accept()


@app.websocket("/forbidden")
async def no_permission(websocket: WebSocket, _user=Depends(forbidden)):
    await websocket.accept()


def breaks(websocket: WebSocket):
    # A handler of exceptions written for requests, met by a WebSocket: this is what Bisheng 2.6.0's does.
    return websocket.method


@app.websocket("/broken")
async def broken(websocket: WebSocket, _method=Depends(breaks)):
    await websocket.accept()


@app.websocket("/after")
async def after(websocket: WebSocket):
    """Accepts, and fails then."""
    await websocket.accept()
    raise RuntimeError("the handler is broken")


def listening():
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", given.port))
    sock.listen(128)
    return sock


async def on_hypercorn(sock):
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config = Config()
    config.bind = [f"fd://{sock.fileno()}"]
    await serve(app, config)


def main():
    sock = listening()
    port = sock.getsockname()[1]
    print_line({"listening": f"127.0.0.1:{port}", "pid": os.getpid()})
    if given.server == "hypercorn":
        asyncio.run(on_hypercorn(sock))
        return
    again = []
    signal.signal(signal.SIGTERM, lambda *_: again.append(True))
    config = uvicorn.Config(app, ws_ping_interval=given.ping, ws_ping_timeout=given.ping, log_level="info")
    uvicorn.Server(config).run(sockets=[sock])
    if again and given.restart_after:
        sock.close()
        os.execv(sys.executable, [sys.executable, __file__, "--port", str(port), "--ping", str(given.ping)])


main()
