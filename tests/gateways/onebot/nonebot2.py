"""A NoneBot2 bot as its documentation makes one: a server at /onebot/v11/ws, or a client of a forward server.

    python nonebot2.py [--port N] [--token T] [--forward ws://…] [--ping SECONDS] [--ping-timeout SECONDS]

`--ping` and `--ping-timeout` are uvicorn's own, 20 and 20 by default: how long a dead connection keeps its bot.
Named nonebot2 because a script called nonebot.py would be imported in the package's place.
"""

import fixture

given = fixture.flags(forward=(str, ""), ping=(float, 20.0), ping_timeout=(float, 20.0))

import nonebot  # noqa: E402
from nonebot import on_message  # noqa: E402
from nonebot.adapters.onebot.v11 import Adapter, Bot, MessageEvent  # noqa: E402

settings = {"driver": "~fastapi+~websockets", "host": "127.0.0.1", "port": given.port, "log_level": "INFO"}
if given.token:
    settings["onebot_access_token"] = given.token
if given.forward:
    settings["onebot_ws_urls"] = {given.forward}
nonebot.logger.remove()
nonebot.init(**settings)
driver = nonebot.get_driver()
driver.register_adapter(Adapter)


@driver.on_bot_connect
async def _(bot: Bot):
    fixture.say({"connected": bot.self_id})


@driver.on_bot_disconnect
async def _(bot: Bot):
    fixture.say({"disconnected": bot.self_id})


@on_message().handle()
async def _(bot: Bot, event: MessageEvent):
    answer = await bot.send(event, f"echo {event.get_plaintext()}")
    await bot.send(event, f"sent {answer['message_id']}")


fixture.announce(given.port)
nonebot.run(ws_ping_interval=given.ping, ws_ping_timeout=given.ping_timeout)
