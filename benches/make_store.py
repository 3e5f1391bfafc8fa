#!/usr/bin/env python3
"""Makes a store of sessions for measurements. The same arguments give the same bytes.

    make_store.py ROOT [--files N] [--now SECONDS] [--expired SHARE] [--size BYTES]

ROOT becomes a client's config folder: projects with transcripts, subagents and tool results, file history, tasks and
debug logs, and a history with a line a prompt. About four folders for ten files, as real stores have. A share of the
sessions (0.36 unless said) is 31 to 44 days old, the rest up to 29; the newest is a day old. No real text.
"""

import argparse
import json
import os
import random
import time
from pathlib import Path

WORDS = "read the file and change its test so that it fails first then run everything again please".split()


def text(dice, size):
    out = []
    length = 0
    while length < size:
        word = dice.choice(WORDS)
        out.append(word)
        length += len(word) + 1
    return " ".join(out)


class Store:
    def __init__(self, root, seed, now):
        self.root = Path(root)
        self.dice = random.Random(seed)
        self.now = now
        self.files = 0
        self.folders = set()
        self.history = []

    def put(self, path, content, at):
        path = self.root / path
        if path.parent not in self.folders:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.folders.add(path.parent)
        with open(path, "w", encoding="utf-8") as file:
            file.write(content)
        os.utime(path, (at, at))
        self.files += 1

    def record(self, session, cwd, at, size, **more):
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + ".000Z"
        record = {
            "parentUuid": None,
            "isSidechain": False,
            "userType": "external",
            "cwd": cwd,
            "sessionId": session,
            "version": "2.1.330",
            "entrypoint": "cli",
            "type": "user",
            "message": {"role": "user", "content": text(self.dice, size)},
            "uuid": f"{self.dice.getrandbits(128):032x}",
            "timestamp": stamp,
        }
        return json.dumps({**record, **more}, separators=(",", ":")) + "\n"

    def session(self, number, expired, size):
        dice = self.dice
        session = f"{dice.getrandbits(32):08x}-{number & 0xFFFF:04x}-4{dice.getrandbits(12):03x}-8{dice.getrandbits(12):03x}-{number:012x}"
        cwd = f"/work/project-{number % 97}"
        project = "projects/" + "".join(c if c.isascii() and c.isalnum() else "-" for c in cwd)
        days = dice.uniform(31, 44) if expired else dice.uniform(1, 29)
        at = int(self.now - days * 86400)
        lines = "".join(self.record(session, cwd, at - 60 * back, size) for back in range(3, -1, -1))
        self.put(f"{project}/{session}.jsonl", lines, at)
        for agent in range(dice.randrange(0, 3)):
            name = f"{project}/{session}/subagents/agent-a{agent:016x}"
            self.put(name + ".jsonl", self.record(session, cwd, at, size, isSidechain=True, agentId=f"a{agent}"), at)
            self.put(name + ".meta.json", '{"agentType":"general-purpose"}', at)
        for result in range(dice.randrange(0, 4)):
            self.put(f"{project}/{session}/tool-results/b{result:08d}.txt", text(dice, size), at)
        for version in range(dice.randrange(0, 5)):
            self.put(f"file-history/{session}/{dice.getrandbits(64):016x}@v{version}", text(dice, size), at)
        if dice.random() < 0.3:
            self.put(f"tasks/{session}/1.json", '{"subject":"x"}', at)
        if dice.random() < 0.5:
            self.put(f"debug/{session}.txt", text(dice, size), at)
        prompt = {"display": "x", "pastedContents": {}, "timestamp": at * 1000, "project": cwd, "sessionId": session}
        self.history.append((at, json.dumps(prompt)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root")
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--now", type=int, default=int(time.time()))
    parser.add_argument("--expired", type=float, default=0.36)
    parser.add_argument("--size", type=int, default=600, help="bytes of text in a record or file")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    store = Store(given.root, given.seed, given.now)
    number = 0
    while store.files < given.files:
        store.session(number, store.dice.random() < given.expired, given.size)
        number += 1
    store.history.sort()
    store.put("history.jsonl", "".join(line + "\n" for _, line in store.history), given.now - 86400)
    print(f"{store.files} files in {len(store.folders)} folders, {number} sessions")


main()
