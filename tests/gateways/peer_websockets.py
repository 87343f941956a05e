"""PyPI's `websockets` on both ends of a relay, saying what each end saw: see peer-ws.js, which speaks the same.

    python peer_websockets.py serve
    python peer_websockets.py call HOST:PORT
    python peer_websockets.py hold HOST:PORT
"""

import asyncio
import hashlib
import json
import os
import re
import signal
import sys
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

PROTOCOLS = ["chat.v2", "chat.v1"]
VOLATILE = re.compile(r"(host|sec-websocket-key|forwarded|via|x-forwarded-.*|x-real-ip)")
LARGEST = 8 << 20


def say(line):
    print(json.dumps(line, ensure_ascii=False), flush=True)


def digest(message):
    binary = isinstance(message, bytes)
    data = message if binary else message.encode()
    line = {"kind": "binary" if binary else "text", "bytes": len(data), "sha1": hashlib.sha1(data).hexdigest()}
    if not binary and len(data) <= 130:
        line["text"] = message
    return line


def headers(fields):
    pairs = [(name.lower(), value) for name, value in fields.raw_items()]
    return sorted(f"{name}: {value}" for name, value in pairs if not VOLATILE.fullmatch(name))


def extensions(websocket):
    return [repr(extension) for extension in websocket.protocol.extensions]


def closing(websocket):
    return {"closed": websocket.close_code, "reason": websocket.close_reason}


# The server.


async def session(websocket, seen):
    path = websocket.request.path
    name = parse_qs(urlsplit(path).query)["case"][0]
    saw = seen.setdefault(f"{name} again" if name in seen else name, [])
    fields = headers(websocket.request.headers)
    chosen = {"protocol": websocket.subprotocol, "extensions": extensions(websocket)}
    saw.append({"url": path, "headers": fields, **chosen})
    try:
        async for message in websocket:
            saw.append({"message": digest(message)})
            verb, _, rest = message[1:].partition(" ") if isinstance(message, str) else ("", "", "")
            if not isinstance(message, str) or not message.startswith("!"):
                await websocket.send(message)
            elif verb == "ping":
                await (await websocket.ping(rest))
                saw.append({"pong": rest})
                await websocket.send(f"pong {rest}")
            elif verb == "drop":
                websocket.transport.abort()
            elif verb == "close":
                await websocket.close(int(rest[:4]), rest[5:])
            elif verb == "fragments":

                async def parts():
                    yield "frag-1 "
                    yield ""
                    pong = await websocket.ping("within")
                    yield "frag-2"
                    await pong
                    saw.append({"pong": "within"})

                await websocket.send(parts())
                await websocket.send("pong within")
    except ConnectionClosed:
        pass
    await websocket.wait_closed()
    saw.append(closing(websocket))


async def serving():
    seen = {}
    over = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set_result, None)

    def choose(_, offered):
        return next((known for known in PROTOCOLS if known in offered), None)

    def refuse(connection, request):
        return None if request.path.startswith("/peer") else connection.respond(403, "not me\n")

    settings = {"select_subprotocol": choose, "process_request": refuse, "max_size": LARGEST, "ping_interval": None}
    async with serve(lambda websocket: session(websocket, seen), "127.0.0.1", 0, server_header=None, **settings) as server:
        port = server.sockets[0].getsockname()[1]
        say({"listening": f"127.0.0.1:{port}", "pid": os.getpid()})
        await over
        # What the last client did may be under way to us.
        for _ in range(1_000):
            if all("closed" in saw[-1] for saw in seen.values()):
                break
            await asyncio.sleep(0.005)
    for name in sorted(seen):
        say({"server": name, "saw": seen[name]})


# The client.


async def connection(at, name, act, path="/peer", **settings):
    settings = {"compression": None, "max_size": LARGEST, "ping_interval": None, **settings}
    try:
        async with connect(f"ws://{at}{path}?case={name.replace(' ', '%20')}", **settings) as websocket:
            say({"case": name, "open": {"protocol": websocket.subprotocol, "extensions": extensions(websocket)}})
            try:
                await act(websocket)
                await websocket.wait_closed()
            except ConnectionClosed:
                pass
        say({"case": name, **closing(websocket)})
    except InvalidStatus as error:
        response = error.response
        say({"case": name, "status": response.status_code, "body": response.body.decode()})


async def heard(websocket, name):
    say({"case": name, "message": digest(await websocket.recv())})


def pattern(length):
    return bytes((i * 7 + length) & 255 for i in range(length))


def noise(length):
    state, out = 12345, bytearray()
    for _ in range(length):
        state = (state * 1103515245 + 12345) & 0xFFFFFFFF
        out.append(state >> 24)
    return bytes(out)


async def calling(at):
    async def each(name, messages, **settings):
        async def act(websocket):
            for message in messages:
                await websocket.send(message)
                await heard(websocket, name)
            await websocket.close(1000, "done")

        await connection(at, name, act, **settings)

    await each("text", ["hello", "", "héllo 世界 🚢", "x" * 125, "y" * 126])
    await each("binary", [pattern(n) for n in (0, 1, 125, 126, 127, 65_535, 65_536, 1 << 20)])
    await each("large text", ["é" * (1 << 19)])
    squeezed = "squeeze " * 25_000
    await each("deflate", [squeezed, noise(65_536), "", "short", squeezed], compression="deflate")
    await each("subprotocol", ["hi"], subprotocols=["chat.v9", "chat.v1", "chat.v2"])
    await each("no subprotocol", ["hi"], subprotocols=["chat.v9"])
    await each("long header", ["hi"], additional_headers={"X-Long": "z" * 4_000, "X-Odd": 'a,b;c="d"'})
    await each("refused", [], path="/elsewhere")

    async def fragments(websocket):
        async def parts():
            yield "one "
            pong = await websocket.ping("between")
            yield ""
            yield "two"
            await pong
            say({"case": "fragments", "pong": "between"})

        await websocket.send(parts())
        await heard(websocket, "fragments")
        await websocket.send([bytes([1]) * 70_000, bytes([2]) * 3])
        await heard(websocket, "fragments")
        await websocket.close()

    await connection(at, "fragments", fragments)

    async def fragments_back(websocket):
        await websocket.send("!fragments")
        parts = [part async for part in websocket.recv_streaming()]
        say({"case": "fragments back", "parts": parts})
        await heard(websocket, "fragments back")
        await websocket.close()

    await connection(at, "fragments back", fragments_back)

    async def pings(websocket):
        for payload in ("", "p", "x" * 125):
            await (await websocket.ping(payload))
            say({"case": "pings", "pong": payload})
        await websocket.close()

    await connection(at, "pings", pings)

    async def pings_back(websocket):
        for payload in ("abc", "q" * 125):
            await websocket.send(f"!ping {payload}")
            await heard(websocket, "pings back")
        await websocket.close()

    await connection(at, "pings back", pings_back)
    for code, reason in [(1000, ""), (1000, "bye"), (1001, "going"), (1003, ""), (3000, "app"), (4999, "r" * 123)]:
        await connection(at, f"closing {code} {len(reason)}", lambda websocket, c=code, r=reason: websocket.close(c, r))
    theirs = [(1000, ""), (1001, "going"), (1008, "policy"), (1011, "oops"), (1012, "service restart"), (1013, "稍後")]
    for code, reason in [*theirs, (4000, "r" * 123)]:
        await connection(at, f"closed {code}", lambda websocket, c=code, r=reason: websocket.send(f"!close {c} {r}"))
    await connection(at, "dropped", lambda websocket: websocket.send("!drop"))

    async def terminated(websocket):
        websocket.transport.abort()

    await connection(at, "terminated", terminated)


async def holding(at):
    await connection(at, "held", lambda websocket: websocket.wait_closed())


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        asyncio.run(serving())
    elif len(sys.argv) == 3 and sys.argv[1] in ("call", "hold"):
        asyncio.run((calling if sys.argv[1] == "call" else holding)(sys.argv[2]))
    else:
        sys.exit("say `serve`, `call HOST:PORT` or `hold HOST:PORT`")
