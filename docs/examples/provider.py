#!/usr/bin/env python3
"""A provider whose network is two files: what people write is read from one, what the bot says goes to the other.

It shows what every provider has to do: keep a message until a receipt settles it, send again what it keeps, in order,
after a reconnect, and remember across restarts which sends have left.

    inbox.jsonl    {"id": "m1", "from": "ada", "text": "hello"}           appended by people
    outbox.jsonl   {"send_id": "…", "id": "o1", "to": "ada", "text": "…"}  appended here
    pip install websockets && python provider.py --server http://127.0.0.1:8787 --bot demo --inbox inbox.jsonl --outbox outbox.jsonl
"""
import argparse
import json
import os
import random
import time

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect


class Journal:
    """Lines on disk: appended whole, durable, and read again at the next start."""

    def __init__(self, path):
        self.file = open(path, "a+b")
        self.file.seek(0)
        whole = self.file.read().rpartition(b"\n")[0]
        self.file.truncate(len(whole) + 1 if whole else 0)  # half a line was never written
        self.lines = [json.loads(line) for line in whole.splitlines()]

    def append(self, line):
        self.file.write(json.dumps(line).encode() + b"\n")
        self.file.flush()
        os.fsync(self.file.fileno())


def talk(args, settled, outbox, sent):  # one connection, until it breaks
    with connect(args.server.replace("http", "ws", 1) + "/v1/provider", additional_headers=args.headers) as socket:
        say = lambda frame: socket.send(json.dumps(frame))
        say({"type": "hello", "payload_version": 1, "bot_id": args.bot, "provider_name": "files",
             "provider_instance": "only"})
        inbox, window, waiting, seq = open(args.inbox, "rb"), 0, {}, 0
        while True:
            # New messages, and those without a final receipt: in order, at most `window` on their way.
            while len(waiting) < window and (line := inbox.readline()):
                if not line.endswith(b"\n"):
                    inbox.seek(-len(line), os.SEEK_CUR)  # somebody is still writing it
                    break
                if (message := json.loads(line))["id"] in settled:
                    continue
                seq += 1
                waiting[seq] = message["id"]
                say({"type": "message", "payload_version": 1, "seq": seq, "provider_message_id": message["id"],
                     "correspondent_id": message["from"], "sender": {"identifier": message["from"]},
                     "direction": "incoming", "originating_time": int(time.time() * 1000), "message": message["text"]})
            try:
                frame = json.loads(socket.recv(timeout=0.05))
            except TimeoutError:
                continue
            if frame["type"] == "welcome":
                window = frame["window"]
            elif frame["type"] == "error" and frame["fatal"]:
                raise SystemExit(f"refused: {frame['detail']}")
            elif frame["type"] == "receipt":
                if frame["outcome"] not in ("accepted", "duplicate") and frame.get("reason") != "invalid":
                    time.sleep(frame["retry_after_ms"] / 1000)
                    return  # the next connection sends all that is kept again, in order
                message_id = waiting.pop(frame["seq"])
                settled[message_id] = True
                args.settled.append(message_id)
            elif frame["type"] == "send":
                if frame["send_id"] not in sent:  # else it has left before: say so again
                    sent[frame["send_id"]] = f"o{len(sent) + 1}"
                    outbox.append({"send_id": frame["send_id"], "id": sent[frame["send_id"]],
                                   "to": frame["correspondent_id"], "text": frame["message"]})
                say({"type": "sent", "send_id": frame["send_id"], "provider_message_id": sent[frame["send_id"]]})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", default="http://127.0.0.1:8787")
    parser.add_argument("--token")
    for name in ("--bot", "--inbox", "--outbox"):
        parser.add_argument(name, required=True)
    args = parser.parse_args()
    args.headers = {"Authorization": f"Bearer {args.token}"} if args.token else {}
    args.settled, outbox = Journal(args.inbox + ".settled"), Journal(args.outbox)
    settled = dict.fromkeys(args.settled.lines)
    sent = {line["send_id"]: line["id"] for line in outbox.lines}
    while True:
        try:
            talk(args, settled, outbox, sent)
        except (OSError, WebSocketException) as error:
            print("lost:", error, flush=True)
        time.sleep(random.uniform(0.05, 0.5))


if __name__ == "__main__":
    main()
