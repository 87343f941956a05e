"""A twin of Bisheng's transport: FastAPI under uvicorn, as Bisheng is, with its paths, its close codes and its habits.

Bisheng itself needs MySQL, Redis, Milvus, Elasticsearch, MinIO and OpenFGA. What Mooring meets of it is its HTTP and
WebSocket surface, and that is what is rebuilt here, from its source (2.6.0):

* `GET /health` answers `{"status":"OK"}` and knows of nothing but this process.
* REST errors are HTTP 200 with `status_code` in the body.
* `/api/v1/workflow/chat/{id}?chat_id=` takes the login as a JWT in the cookie `access_token_cookie`, and speaks
  `init_data`, `check_status`, `input`, `stop`. A workflow that was begun without a chat_id is stopped when its session
  ends, whoever ends it. With a chat_id it goes on, and `check_status` finds it again.
* The application's handler of HTTPException can be made to read `.method` of a WebSocket, which has none.
* SIGTERM closes what is open with 1012 (uvicorn's own doing).
* In older versions (`keyed`), sessions were kept in a table by workflow id and chat_id: answers went to whoever came last
  under that key, and to nobody once that one had gone.

`/twin` is not Bisheng's: `GET` tells what happened, `POST` sets what is to go wrong, and `GET /twin/token` logs in.
"""

import argparse
import asyncio
import base64
import hashlib
import hmac
import json
import time

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

SECRET = b"the twin's own"

app = FastAPI()

# What is to go wrong. `close`: code and reason with which each accepted session is closed at once. `stall`: the upgrade
# is taken and never answered.
faults = {"health": None, "handler_bug": False, "worker": True, "close": None, "stall": False, "rest": None,
          "keyed": False}
# What happened.
log = {"opened": [], "ended": [], "messages": [], "stopped": [], "running": [], "resumed": []}
# Sessions by what they were asked for, as the older versions kept them.
table = {}
# Workflows that run, by session key: (workflow id, chat id or the session's own).
running = {}


def encode(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def token(lifetime):
    head = encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    subject = json.dumps({"user_id": 1, "user_name": "admin", "role": "admin"})
    body = encode(json.dumps({"sub": subject, "exp": time.time() + lifetime, "type": "access"}).encode())
    signature = hmac.new(SECRET, f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{encode(signature)}"


def login_of(cookies):
    """Why the login is refused, or None."""
    jwt = cookies.get("access_token_cookie")
    if not jwt:
        return "Missing cookie access_token_cookie"
    try:
        head, body, signature = jwt.split(".")
        wanted = hmac.new(SECRET, f"{head}.{body}".encode(), hashlib.sha256).digest()
        if not hmac.compare_digest(wanted, decode(signature)):
            return "Signature verification failed"
        if json.loads(decode(body))["exp"] < time.time():
            return "Signature has expired"
    except (ValueError, KeyError):
        return "Not enough segments"
    return None


def hidden(code, message, data=None):
    """Bisheng's REST: whatever happened, HTTP says 200."""
    return JSONResponse({"status_code": code, "status_message": message, "data": data})


@app.exception_handler(StarletteHTTPException)
async def refused(request, exc):
    # Bisheng 2.6.0 logs `request.method` here, and a WebSocket has none: what should be a 401 becomes a 500.
    if faults["handler_bug"] or request.scope["type"] == "http":
        _ = request.method
    if request.scope["type"] == "websocket":
        return JSONResponse({"detail": exc.detail}, status_code=exc.status_code)
    # A path that is not there is refused by the router, before Bisheng's own ways apply.
    if exc.status_code == 404:
        return JSONResponse({"detail": exc.detail}, status_code=404)
    return hidden(exc.status_code, str(exc.detail))


@app.get("/health")
async def health():
    if faults["health"] is not None:
        return JSONResponse(faults["health"])
    return {"status": "OK"}


@app.get("/api/v1/user/info")
async def user_info(request: Request):
    if faults["rest"] is not None:
        return hidden(faults["rest"], "An error occurred")
    why = login_of(request.cookies)
    return hidden(401, why) if why else hidden(200, "SUCCESS", {"user_name": "admin"})


@app.get("/api/v1/workers")
async def workers(request: Request):
    """Not Bisheng's own: what an operator puts there to learn of the Celery workers."""
    if faults["worker"]:
        return hidden(200, "SUCCESS", {"workers": 1})
    return hidden(10540, "no worker answers")


async def logged_in(websocket: WebSocket):
    why = login_of(websocket.cookies)
    if why:
        raise HTTPException(status_code=401, detail=why)


@app.websocket("/api/v1/workflow/chat/{workflow_id}")
async def chat(websocket: WebSocket, workflow_id: str, chat_id: str | None = None, _=Depends(logged_in)):
    if faults["stall"]:
        await asyncio.sleep(3600)
    await websocket.accept()
    log["opened"].append(workflow_id)
    key = (workflow_id, chat_id or f"unsaved-{id(websocket)}")
    place = (workflow_id, chat_id)
    table[place] = websocket

    async def say(category, kind, message=""):
        to = table[place] if faults["keyed"] else websocket
        await to.send_json({"category": category, "type": kind, "message": message, "flow_id": workflow_id})

    try:
        if faults["close"]:
            code, reason = faults["close"]
            await websocket.close(code, reason)
            return
        while True:
            message = await websocket.receive_json()
            log["messages"].append(message.get("action"))
            match message.get("action"):
                case "init_data":
                    running[key] = True
                    log["running"].append(workflow_id)
                    await say("processing", "begin")
                case "check_status":
                    if key in running:
                        log["resumed"].append(workflow_id)
                        await say("processing", "begin")
                    else:
                        await say("processing", "close")
                case "input":
                    alive = key in running
                    await say("stream" if alive else "error", "end" if alive else "over", "echo")
                case "stop":
                    running.pop(key, None)
                    await say("processing", "close")
    except WebSocketDisconnect as end:
        log["ended"].append(end.code)
    finally:
        table.pop(place, None)
        # The habit that makes closing a session an act: without a chat_id nobody could ever come back for it.
        if not chat_id and running.pop(key, None):
            log["stopped"].append(workflow_id)


@app.get("/twin")
async def what_happened():
    return {**log, "faults": faults, "alive": [list(key) for key in running]}


@app.post("/twin")
async def what_goes_wrong(request: Request):
    faults.update(await request.json())
    return faults


@app.get("/twin/token")
async def log_in(lifetime: float = 3600):
    return token(lifetime)


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--ping", type=float, default=20)
    given = options.parse_args()
    uvicorn.run(
        app, host="127.0.0.1", port=given.port, ws_ping_interval=given.ping, ws_ping_timeout=given.ping,
        log_level="info",
    )
