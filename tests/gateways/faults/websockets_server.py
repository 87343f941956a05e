"""PyPI's `websockets`, serving.

    python websockets_server.py [--port N] [--ping SECONDS] [--subprotocol NAME]
"""

import argparse
import asyncio
import json
import os

from websockets.asyncio.server import serve

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, default=0)
parser.add_argument("--ping", type=float, default=20.0, help="ping interval and patience; 20 is the default")
parser.add_argument("--subprotocol", action="append")
given = parser.parse_args()


async def echo(websocket):
    async for message in websocket:
        await websocket.send(message)


async def main():
    settings = {"ping_interval": given.ping, "ping_timeout": given.ping, "subprotocols": given.subprotocol}
    async with serve(echo, "127.0.0.1", given.port, **settings) as server:
        port = server.sockets[0].getsockname()[1]
        print(json.dumps({"listening": f"127.0.0.1:{port}", "pid": os.getpid()}), flush=True)
        await server.serve_forever()


asyncio.run(main())
