#!/usr/bin/env python3
"""Races: while a command works, a file, a folder or a mount of its store is exchanged again and again.

    lab/races.py PROGRAM [--seconds N] [--rounds N] [--only COMMAND[+COMMAND]] [--seed N]

In the place of what is exchanged comes a link to the like of it outside, a mount of that, or another file; outside lies a
tree with the very names of the store, and nothing of it changes, ever. Folders that may be links of the same owner (those at
the top of a store and those of projects) are exchanged for links to another account's, as root alone."""

import collections
import ctypes
import hashlib
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import time

from cases import CASES, DUE, IDLE, SEALED, chosen
from world import World, options_of, scratch, session_id, shield

libc = ctypes.CDLL(None, use_errno=True)
EXCHANGE, BIND = 2, 4096
#: The sessions that a command works on.
WORKED_ON = {
    "enforce": DUE, "purge": IDLE[:1], "seal": IDLE, "hold preserve": IDLE[:1], "check --fix": DUE, "unseal": (SEALED,),
}


def exchange(pairs, mounts, over, count, uid):
    """Exchanges each pair again and again, as fast as it goes, until told to stop."""
    if uid is not None:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    pairs = [(os.fsencode(a), os.fsencode(b)) for a, b in pairs]
    mounts = [(os.fsencode(a), os.fsencode(b)) for a, b in mounts]
    while not over.value:
        for a, b in pairs:
            if libc.renameat2(-100, a, -100, b, EXCHANGE) == 0:
                count.value += 1
        for a, b in mounts:
            if libc.mount(b, a, None, BIND, None) == 0:
                count.value += 1
                libc.umount2(a, 2)
    # As it was, so that the next round begins with what is the store's own.


class Exchanging:
    """While what is in a `with` works, another process exchanges what lies in its way, with an account's rights."""

    def __init__(self, pairs, mounts=(), uid=None):
        self.over, self.times = multiprocessing.Value("b", 0, lock=False), multiprocessing.Value("q", 0, lock=False)
        self.process = multiprocessing.Process(target=exchange, args=(pairs, mounts, self.over, self.times, uid))

    def __enter__(self):
        self.process.start()
        return self.times

    def __exit__(self, *_):
        self.over.value = 1
        self.process.join()


def summary(what, rounds, exits, exchanges, wrong, seed):
    """Prints what all rounds came to; gives how the lab ends."""
    for name, count in rounds.items():
        ends = ", ".join(f"exit {code} {number}" for (of, code), number in sorted(exits.items()) if of == name)
        print(f"| {name} | {count} | {ends} |")
    print(f"{what}: {sum(rounds.values())} rounds, {exchanges} exchanges, {wrong} wrong (seed {seed})")
    return 1 if wrong else 0


def targets(world, case_name, random_):
    """What is exchanged: a file or a folder on the way to the files of a session, with what comes in its place."""
    sid = session_id(random_.choice(WORKED_ON[case_name]))
    if case_name == "unseal":
        base = f"ccretain/sealed/{sid}"
        folders = ["ccretain", "ccretain/sealed", base, f"{base}/projects", f"{base}/projects/-work-acme", "projects", "projects/-work-acme"]
        files = [f"{base}/session.json", f"{base}/debug/{sid}.txt.zst.age"]
    else:
        folders = ["projects", "projects/-work-acme", f"projects/-work-acme/{sid}", f"projects/-work-acme/{sid}/tool-results",
                   f"file-history/{sid}", "file-history", "debug", "ccretain"]
        files = [f"projects/-work-acme/{sid}.jsonl", f"debug/{sid}.txt", f"projects/-work-acme/{sid}/tool-results/b1.txt", "history.jsonl"]
    return random_.choice(folders), random_.choice(files)


def may_be_link(path):
    return path.count("/") == 0 or path.startswith("projects/") and path.count("/") == 1


def outside_of(path):
    """What lies outside, with everything that could change of it."""
    found = {}
    for at, folders, names in os.walk(path):
        for name in [*folders, *names, "."]:
            full = os.path.join(at, name)
            stat = os.lstat(full)
            content = None
            if os.path.isfile(full) and not os.path.islink(full):
                with open(full, "rb") as file:
                    content = hashlib.sha256(file.read()).digest()
            names_ = sorted(os.listdir(full)) if os.path.isdir(full) and not os.path.islink(full) else None
            found[os.path.relpath(full, path)] = (content, stat.st_mode, stat.st_uid, stat.st_gid, stat.st_size, stat.st_mtime_ns, names_)
    return found


def main():
    parser = options_of(__doc__)
    parser.add_argument("--rounds", type=int, default=1_000_000, help="of each command")
    parser.add_argument("--only", type=chosen)
    options = parser.parse_args()
    can_mount = shield(needs_mounts=True)
    folder = scratch()
    client = subprocess.Popen(["sleep", "1000000"])
    random_, deadline = random.Random(options.seed), time.monotonic() + options.seconds
    cases = [case for case in CASES if case.name in WORKED_ON and (not options.only or case.name in options.only)]
    rounds, exits, wrong, exchanges = collections.Counter(), collections.Counter(), 0, 0
    try:
        world = World(folder, options.program.resolve())
        world.client = client.pid
        for at, case in enumerate(cases):
            until = time.monotonic() + (deadline - time.monotonic()) / (len(cases) - at)
            case.prepare(world)
            world.save("template")
            outside = folder / "outside"
            shutil.rmtree(outside, ignore_errors=True)
            subprocess.run(["cp", "-a", world.store, outside], check=True)
            others = folder / "others"
            shutil.rmtree(others, ignore_errors=True)
            if os.geteuid() == 0:
                subprocess.run(["cp", "-a", world.store, others], check=True)
                subprocess.run(["chown", "-R", "65534:65534", others], check=True)
            precious = outside_of(outside), outside_of(others)
            while time.monotonic() < until and rounds[case.name] < options.rounds:
                world.load("template")
                aside = world.root / "aside"
                aside.mkdir()
                path, file = targets(world, case.name, random_)
                pairs, mounts = [], []
                how = random_.choice(["folder", "folder", "file", "other file", "mount" if can_mount else "folder"])
                if how in ("folder", "mount") and may_be_link(path):
                    how = "another's folder" if os.geteuid() == 0 else "file"
                if how in ("folder", "another's folder"):
                    os.symlink((outside if how == "folder" else others) / path, aside / "link")
                    pairs.append((world.store / path, aside / "link"))
                elif how == "file":
                    os.symlink(outside / file, aside / "link")
                    pairs.append((world.store / file, aside / "link"))
                elif how == "other file":
                    shutil.copy2(outside / file, aside / "file")
                    os.link(outside / file, aside / "second") if random_.random() < 0.3 else None
                    pairs.append((world.store / file, aside / ("second" if (aside / "second").exists() else "file")))
                else:
                    mounts.append((world.store / path, outside / path))
                # A hard link of a file outside changes its inode: that is the race's own doing.
                before = outside_of(outside), outside_of(others)
                with Exchanging(pairs, mounts) as count:
                    done = world.run(*case.arguments, timeout=60)
                exchanges += count.value
                rounds[case.name] += 1
                exits[case.name, done.returncode] += 1
                if done.returncode == 101 or done.returncode < 0:
                    wrong += 1
                    print(f"  {case.name}, {how} {path} {file}: ends with {done.returncode}: {done.stderr[:600]}", flush=True)
                after = outside_of(outside), outside_of(others)
                if after != before or after != precious:
                    wrong += 1
                    changed = [name for old, new in zip(before, after) for name in {**old, **new} if old.get(name) != new.get(name)]
                    print(f"  {case.name}, {how} {path} {file}: changed outside: {changed[:4]}", flush=True)
                    precious = after
                for mounted, _ in mounts:
                    while libc.umount2(os.fsencode(mounted), 2) == 0:
                        pass
    finally:
        client.kill()
        client.wait()
        shutil.rmtree(folder, ignore_errors=True)
    return summary("races", rounds, exits, exchanges, wrong, options.seed)


if __name__ == "__main__":
    sys.exit(main())
