#!/usr/bin/env python3
"""Random kills: commands on random worlds die at random moments, one after the other on what the one before left.

    lab/kills.py PROGRAM [--seconds N] [--kills N] [--seed N]

After each kill nothing is lost that was not both due and in the ledger, and nothing half is taken for whole; after some of
them the next runs settle the world, and what they seal comes back byte for byte."""

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import inject
from cases import Case
from oracle import is_unfinished, judge, number_of, state_of
from world import DAY, World, Wrong, options_of, scratch, session_id, shield

AGES = {"due": 40 * DAY, "idle": 5 * DAY, "young": 7200}


class RandomWorld:
    """Sessions of random ages; which may be deleted, and by what, is known here."""

    def __init__(self, world, random_):
        self.world, self.random = world, random_
        world.begin()
        key = world.must("key", "new").stdout.strip()
        shutil.copy(world.root / "config/identity.age", world.folder / "key1.age")
        self.ages = {}
        numbers = range(1, random_.randint(4, 9))
        self.held = {number for number in numbers if random_.random() < 0.15}
        holds = [{"name": f"case-{number}", "sessions": [session_id(number)], "reason": "a case"} for number in self.held]
        world.policy(recipients=[key], holds=holds, guard="off",
                     ledger={"detail": random_.choice(["sessions", "files"]), "names": random_.choice(["plain", "plain", "keyed"])},
                     compression=random_.choice(["zstd", "none"]))
        for number in numbers:
            age = self.ages[number] = random_.choice(["due", "idle", "idle", "young"])
            cwd = random_.choice(["/work/acme", "/work/beta"])
            world.session(number, AGES[age] + number, cwd, sides=random_.random() < 0.7)
            if random_.random() < 0.3:
                side = Path(f"projects/{cwd.replace('/', '-')}/{session_id(number)}/tool-results/large.bin")
                world.put(side, random_.randbytes(random_.choice([0, 100, 70_000, 400_000])), AGES[age])
            for _ in range(random_.randint(0, 2)):
                world.line(session_id(number), AGES[age])
        world.put(Path("settings.json"), '{"cleanupPeriodDays": 99999}', DAY)
        world.put(Path("notes-of-mine.txt"), "mine", 90 * DAY)
        self.before = state_of(world)
        self.purged = set()

    def command(self):
        """A command, as it is typed."""
        pick = self.random.choice
        some = [session_id(number) for number in self.random.sample(sorted(self.ages), 2)]
        kind = pick(["enforce", "enforce", "seal", "seal", "unseal", "unseal", "rekey", "purge", "preserve", "release", "restore"])
        if kind == "purge":
            number = pick([number for number in self.ages if number not in self.held] or [0])
            if number == 0 or self.random.random() < 0.5:
                return ["enforce", "--yes"]
            self.purged.add(number)
            return ["purge", "--yes", "--session", session_id(number)]
        return {
            "enforce": ["enforce", "--yes"], "seal": ["seal", *some], "unseal": ["unseal", "--keep-date", some[0]],
            "rekey": ["rekey", "--all"],
            "preserve": ["hold", "add", "--session", some[0], "--reason", "a case", "--name", "kept", "--preserve"],
            "release": ["hold", "release", "kept", "--reason", "over"], "restore": ["hold", "restore", "kept", "--keep-date"],
        }[kind]

    def case(self):
        fates = {number: "deleted" if (age == "due" and number not in self.held) or number in self.purged else "sealed"
                 for number, age in self.ages.items()}
        case = Case("kills", [], fates, pruned=True)
        case.may_appear = lambda path: number_of(path) in self.ages
        return case


def killed(world, arguments, after):
    """Runs a command that is killed after a while; whether it was."""
    with open(os.devnull, "r+b") as nothing:
        child = subprocess.Popen([world.program, *arguments], env=world.variables, cwd=world.home, stdin=nothing, stdout=nothing,
                                 stderr=subprocess.PIPE, preexec_fn=world.prepared)
        time.sleep(after)
        running = child.poll() is None
        child.kill()
        said = child.communicate()[1].decode(errors="replace")
    if not running and (child.returncode < 0 or child.returncode == 101):
        raise Wrong(f"{arguments} ends with {child.returncode}: {said}")
    return running


def settle(world, made):
    """The next days' runs leave nothing unfinished, and what is sealed comes back."""
    world.wait()
    world.day()
    world.day()
    state = state_of(world)
    left = [path for path in state.files if is_unfinished(path) or path.endswith(".lock.part")]
    # Runs write nothing beside the policy: a draft there goes with the next hold or key.
    left = [path for path in left if not path.startswith("config/")]
    if left:
        raise Wrong(f"the next runs leave {left}")
    judge(world, made.case(), made.before, state, subprocess.CompletedProcess([], -9, "", ""), "SIGKILL")
    done = world.run("ledger", "verify")
    if done.returncode != 0:
        raise Wrong(f"the ledger does not hold: {done.stdout}{done.stderr}")


def main():
    parser = options_of(__doc__)
    parser.add_argument("--kills", type=int, default=1_000_000)
    parser.add_argument("--broken", type=lambda text: text.split(","), help="calls that do nothing: the lab must notice")
    options = parser.parse_args()
    if not all(map(shutil.which, ("age", "zstd"))):
        print("SKIPPED: kills need age and zstd")
        return 0
    shield()
    folder = scratch()
    deadline = time.monotonic() + options.seconds
    kills = runs = worlds = wrong = 0
    longest = {}
    try:
        while time.monotonic() < deadline and kills < options.kills:
            seed = options.seed + worlds
            world = World(folder, options.program.resolve())
            made = RandomWorld(world, random.Random(seed))
            world.prepared = inject.broken(options.broken)
            worlds += 1
            told = []
            try:
                for _ in range(10):
                    arguments = made.command()
                    whole = longest.setdefault(arguments[0], 0.15)
                    after = made.random.random() * whole * 1.1
                    begun = time.monotonic()
                    was_killed = killed(world, arguments, after)
                    told.append(f"{' '.join(arguments)} {'killed' if was_killed else 'through'} after {after:.4f} s")
                    longest[arguments[0]] = min(1, whole * 1.02) if was_killed else max(0.01, min(whole, after * 0.99))
                    kills += was_killed
                    runs += 1
                    judge(world, made.case(), made.before, state_of(world), subprocess.CompletedProcess([], -9, "", ""), "SIGKILL")
                settle(world, made)
            except Wrong as fault:
                wrong += 1
                print(f"  world {seed}: {fault}\n    " + "\n    ".join(told), flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"kills: {kills} of {runs} runs killed in {worlds} worlds, {wrong} wrong (seed {options.seed})")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
