"""An aiocqhttp bot: Quart under Hypercorn, at /ws.

    python aiocqhttp_server.py [--port N] [--token T]
"""

import asyncio
import logging

import fixture

given = fixture.flags()

from aiocqhttp import CQHttp, Event  # noqa: E402
from hypercorn.asyncio import serve  # noqa: E402
from hypercorn.config import Config  # noqa: E402

logging.disable(logging.CRITICAL)
bot = CQHttp(access_token=given.token or None, api_timeout_sec=30)


@bot.on_message
async def _(event: Event):
    text = "".join(part["data"]["text"] for part in event.message if part["type"] == "text")
    answer = await bot.send(event, f"echo {text}")
    await bot.send(event, f"sent {answer['message_id']}")


config = Config()
config.bind = [f"127.0.0.1:{given.port}"]
fixture.announce(given.port)
asyncio.run(serve(bot.asgi, config))
