#!/usr/bin/env python3
"""A bot that answers every message once, whatever is killed in between.

It remembers nothing. Its answer is a send whose send_id is the callback's id, so a callback that comes again makes
the same send, and Anteroom knows it already. Only then is the callback acknowledged.

    pip install websockets
    python bot.py --server http://127.0.0.1:8787 --bot demo
"""
import argparse
import json
import random
import time
import urllib.error
import urllib.request
from urllib.parse import quote

from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import connect


def answer(message):
    """What the bot says to a message; None for nothing."""
    return f"You said: {message['content']}"


def post(args, path, body):
    request = urllib.request.Request(args.server + path, json.dumps(body).encode(), args.headers)
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def act(args, callback):
    """Does what one callback asks for; doing it again changes nothing."""
    text = answer(callback["message"]) if callback["type"] == "message" else None
    if text is None:
        return
    send = {"send_id": callback["callback_id"], "correspondent_id": callback["correspondent_id"], "message": text}
    post(args, f"/v1/bots/{quote(args.bot, safe='')}/sends", send)


def follow(args):
    """Acts on one stream of callbacks until it ends. False when another bot took it over."""
    url = f"{args.server.replace('http', 'ws', 1)}/v1/bots/{quote(args.bot, safe='')}/callbacks"
    with connect(url, additional_headers=args.headers, max_size=None) as stream:
        for frame in map(json.loads, stream):
            if frame["type"] == "replaced":
                return False
            # A bot that debounces gets bursts; each callback of one is acknowledged by itself.
            callbacks = frame["callbacks"] if frame["type"] == "messages" else [frame]
            callbacks = [it for it in callbacks if it["type"] in ("message", "message.revised")]
            for callback in callbacks:
                act(args, callback)
                print(callback["callback_id"], "attempt", callback["attempt"], flush=True)
            if callbacks:
                stream.send(json.dumps({"type": "ack", "callback_ids": [it["callback_id"] for it in callbacks]}))
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", default="http://127.0.0.1:8787")
    parser.add_argument("--bot", required=True)
    parser.add_argument("--token")
    args = parser.parse_args()
    args.headers = {"Authorization": f"Bearer {args.token}"} if args.token else {}
    failures = 0
    while True:
        begun = time.monotonic()
        try:
            if not follow(args):
                return print("another bot took over")
        except InvalidStatus as refused:
            if 400 <= refused.response.status_code < 500:
                raise SystemExit(f"refused: {refused.response.body.decode()}")
        except (OSError, WebSocketException, urllib.error.URLError) as error:
            print("lost:", error, flush=True)
        # What was not acknowledged comes again: nothing has to be kept for it.
        failures = 0 if time.monotonic() - begun > 10 else failures + 1
        time.sleep(min(5, 0.05 * 2**min(failures, 10)) * random.uniform(0.5, 1))


if __name__ == "__main__":
    main()
