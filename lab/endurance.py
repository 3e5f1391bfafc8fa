#!/usr/bin/env python3
"""Endurance: a year of days, each with a client that writes and a run, under a clock of its own.

    lab/endurance.py PROGRAM [--seconds N] [--days N] [--seed N]

Every day sessions are begun, gone on with, and left; every few weeks a hold is added that ends by itself, a key is changed
and what is sealed is encrypted anew, and the clock jumps: ahead by sixty days, which the guard must refuse, and back by a few
hours. What must hold: each run ends as it should, nothing is there that is due and nothing is gone that is not, the ledger
holds together and, as the state, stays within its bounds though segments are cut by the year, and memory does not grow."""

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import inject
from oracle import is_unfinished, state_of
from world import DAY, World, Wrong, options_of, scratch, session_id, shield

KEEP = 30


class Year(World):
    def __init__(self, folder, program, clock):
        super().__init__(folder, program)
        self.now = clock

    def at(self, *arguments):
        """A run at the time of this world; its end and the most memory that it took, in KiB."""
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(self.now))
        child = subprocess.Popen([shutil.which("faketime"), "-f", f"@{moment}", self.program, *arguments], env=self.variables, cwd=self.home,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=self.prepared)
        out, err = child.stdout.read(), child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        return child.returncode, out.decode(errors="replace"), err.decode(errors="replace"), usage.ru_maxrss

    def must_at(self, *arguments, codes=(0,)):
        done = self.at(*arguments)
        if done[0] not in codes:
            raise Wrong(f"{' '.join(arguments)} ends with {done[0]}: {done[2][:600]}{done[1][:300]}")
        return done


def new_key(world):
    identity = world.root / "config/identity.age"
    old = identity.read_text() if identity.exists() else ""
    if old:
        identity.unlink()
    key = world.must_at("key", "new")[1].strip()
    identity.write_text(old + identity.read_text())
    identity.chmod(0o600)
    return key


def write_policy(world, key):
    world.policy(recipients=[key], ledger={"keep": "90d", "detail": "files"})


def size_of(folder, beginning=""):
    files = [path for path in folder.rglob(f"{beginning}*") if path.is_file() and path.name != "ledger.reserve"]
    return sum(path.stat().st_size for path in files)


def main():
    parser = options_of(__doc__, 3600)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--broken", type=lambda text: text.split(","), help="calls that do nothing: the lab must notice")
    options = parser.parse_args()
    if not shutil.which("faketime"):
        print("SKIPPED: endurance needs faketime")
        return 0
    shield()
    folder = scratch()
    random_, deadline = random.Random(options.seed), time.monotonic() + options.seconds
    clock = time.time() // DAY * DAY + 12 * 3600
    world = Year(folder, options.program.resolve(), clock)
    last, held, days, refused, peaks, states, ledgers = {}, {}, 0, 0, [], [], []
    wrong = 0
    try:
        world.begin()
        world.prepared = inject.broken(options.broken)
        world.put(Path("settings.json"), '{"cleanupPeriodDays": 99999}', 0)
        key = new_key(world)
        write_policy(world, key)
        number = 0
        while days < options.days and time.monotonic() < deadline:
            days += 1
            world.now = clock + days * DAY
            for _ in range(random_.randint(3, 8)):
                number += 1
                world.session(number, 2 * 3600, random_.choice(["/work/acme", "/work/beta"]))
                world.line(session_id(number), 2 * 3600)
                last[number] = days
            for other in random_.sample(sorted(last), min(2, len(last))):
                # Somebody goes on with a conversation of the last days, which is not sealed yet.
                if days - last[other] <= 1:
                    for cwd in ("/work/acme", "/work/beta"):
                        path = world.store / f"projects/{cwd.replace('/', '-')}/{session_id(other)}.jsonl"
                        if path.exists():
                            world.put(path, path.read_text() + world.records(session_id(other), 2 * 3600, cwd), 2 * 3600)
                            last[other] = days
            if days % 40 == 10:
                candidates = [one for one, day in last.items() if days - day == 12]
                if candidates:
                    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(world.now + 45 * DAY))
                    world.must_at("hold", "add", "--session", session_id(candidates[0]), "--reason", "a case", "--until", until)
                    held[candidates[0]] = days + 45
            if days % 90 == 45:
                key = new_key(world)
                write_policy(world, key)
                world.must_at("rekey", "--all")
            if days % 60 == 30:
                true, world.now = world.now, world.now + 60 * DAY
                code = world.at("enforce", "--yes")[0]
                refused += code in (1, 4)
                if not any(is_there(world, one) for one in last):
                    raise Wrong("a clock that jumps ahead deletes everything")
                world.now = true
            if days % 60 == 50:
                true, world.now = world.now, world.now - 5 * 3600
                world.must_at("enforce", "--yes", codes=(0, 1, 4))
                world.now = true
            codes = (0, 4) if days % 60 in (30, 31, 32, 33) else (0,)
            code, _, _, peak = world.must_at("enforce", "--yes", codes=codes)
            peaks.append(peak)
            ledgers.append(size_of(world.root / "state", "ledger"))
            states.append(size_of(world.root / "state") - ledgers[-1])
            if code == 0:
                check(world, last, held, days)
            if days % 30 == 0:
                world.must_at("ledger", "verify")
                left = [path for path in state_of(world).files if is_unfinished(path)]
                if left:
                    raise Wrong(f"left: {left}")
                print(f"  day {days}: state {states[-1]:,} bytes, ledger {ledgers[-1]:,}, peak {peak:,} KiB", flush=True)
        half = len(peaks) // 2
        if half > 60:
            bound("memory", peaks, half, 1.15)
            bound("state", states, half, 1.6)
        # What is kept for 90 days goes by whole segments, which take half a year to fill here.
        if half > 180:
            bound("ledger", ledgers, half, 1.6)
    except Wrong as fault:
        wrong += 1
        print(f"  day {days}: {fault}", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"endurance: {days} days, {len(last)} sessions, {refused} refusals of a wrong clock, memory {max(peaks or [0]):,} KiB, "
          f"state {max(states or [0]):,} and ledger {max(ledgers or [0]):,} bytes at most, {wrong} wrong (seed {options.seed})")
    return 1 if wrong else 0


def bound(what, values, half, factor):
    """The second half of the time takes no more than the end of the first, but for some noise."""
    before, after = max(values[half - 60:half]), max(values[half:])
    if after > before * factor + 4096:
        raise Wrong(f"{what} grows: at most {before:,} by the half, {after:,} after it")


def is_there(world, number):
    name = session_id(number)
    return any((world.store / f"projects/{folder}/{name}.jsonl").exists() for folder in ("-work-acme", "-work-beta")) or (
        world.store / f"ccretain/sealed/{name}/session.json").exists()


def check(world, last, held, day):
    for number, written in list(last.items()):
        is_due = day - written > KEEP and held.get(number, 0) <= day
        there = is_there(world, number)
        if there and is_due and day - written > KEEP + 1 and held.get(number, 0) < day - 1:
            raise Wrong(f"session {number} of day {written} is still there")
        if not there and not is_due and day - written < KEEP - 1:
            raise Wrong(f"session {number} of day {written} is gone")
        if not there and held.get(number, 0) > day:
            raise Wrong(f"session {number} is gone though it is held")
        if not there:
            del last[number]
            held.pop(number, None)


if __name__ == "__main__":
    sys.exit(main())
