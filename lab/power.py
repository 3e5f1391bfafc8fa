#!/usr/bin/env python3
"""Power loss: a run dies at one of its changes, and all that was not flushed by then is thrown away.

    lab/power.py PROGRAM [--seconds N] [--rounds N] [--only COMMAND[+COMMAND]] [--seed N]

The world lies on an ext4 image of its own, mounted over a loop device without the heuristics that flush renamed files
unasked, and with a journal that commits only when it is asked to. The run is killed at a random one of its changing calls,
the image is copied as the disk has it at that moment, without any flush, and the copy is mounted in the place of the other:
the journal is replayed, and what was written and not flushed is gone. In most rounds another program flushes a file of its
own right before, so that the journal has all names and the disk not all data. The same oracle looks as after a kill. Needs root."""

import collections
import os
import random
import shutil
import subprocess
import sys
import time

import inject
from cases import CASES, chosen
from faults import ALONE, calls_of, changes
from oracle import judge, settled, state_of
from world import World, Wrong, options_of, scratch, shield

SIZE = 24 << 20


def sh(*words):
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{words}: {done.stderr}")


class Disk(World):
    """A world whose folder is the top of a file system of its own."""

    mounted = None

    def image(self, name):
        return self.folder / f"{name}.img"

    def mount(self, image):
        self.root.mkdir(exist_ok=True)
        sh("mount", "-o", "loop,noauto_da_alloc,commit=3600,noatime", image, self.root)
        self.mounted = image

    def unmount(self):
        if self.mounted:
            sh("umount", self.root)
            self.mounted = None

    def begin(self):
        self.unmount()
        image = self.image("world")
        with open(image, "wb") as file:
            file.truncate(SIZE)
        sh("mkfs.ext4", "-q", "-J", "size=4", image)
        self.mount(image)
        for folder in ("home", "tmp", "state", "config"):
            (self.root / folder).mkdir()
            (self.root / folder).chmod(0o700)
        # Of another program: to flush it commits the journal, and with it the names of all files, but not their data.
        (self.root / "config/.others").touch()
        (self.home / ".local/state").mkdir(parents=True)
        (self.store / "projects").mkdir(parents=True)
        self.store.chmod(0o700)

    def save(self, name):
        self.unmount()
        shutil.copyfile(self.image("world"), self.image(name))
        self.mount(self.image("world"))

    def load(self, name):
        self.unmount()
        shutil.copyfile(self.image(name), self.image("world"))
        self.mount(self.image("world"))

    def lose_power(self, somebody_flushes):
        """What the disk has at this moment is all there is."""
        if somebody_flushes:
            with open(self.root / "config/.others", "wb") as file:
                file.write(b"x")
                os.fsync(file.fileno())
        shutil.copyfile(self.image("world"), self.image("lost"))
        self.unmount()
        shutil.copyfile(self.image("lost"), self.image("world"))
        self.mount(self.image("world"))


def main():
    parser = options_of(__doc__)
    parser.add_argument("--rounds", type=int, default=1_000_000)
    parser.add_argument("--only", type=chosen)
    parser.add_argument("--broken", type=lambda text: text.split(","), help="calls that do nothing: the lab must notice")
    options = parser.parse_args()
    if os.geteuid() != 0 or not inject.can() or not all(map(shutil.which, ("mkfs.ext4", "strace", "age", "zstd", "unshare"))):
        print("SKIPPED: power loss needs root on Linux, mkfs.ext4, strace, age, zstd and loop devices")
        return 0
    shield(needs_mounts=True)
    folder = scratch()
    client = subprocess.Popen(["sleep", "1000000"])
    world = Disk(folder, options.program.resolve())
    world.client = client.pid
    cases = [case for case in CASES if (not options.only or case.name in options.only) and not case.name.startswith("schedule")]
    random_, deadline = random.Random(options.seed), time.monotonic() + options.seconds
    rounds, wrong, table = 0, 0, collections.Counter()
    try:
        for at, case in enumerate(cases):
            left = (deadline - time.monotonic()) / (len(cases) - at)
            until, most = time.monotonic() + left, options.rounds // len(cases)
            world.opened.clear()
            world.prepared = None
            case.prepare(world)
            world.save("template")
            world.prepared = inject.broken(options.broken)
            before = state_of(world)
            done, found = calls_of(world, case, folder / "log")
            clean = state_of(world)
            world.day()
            later = state_of(world)
            instants = [(key, where) for key, (_, where) in found.items() if changes(key[0], where)]
            random_.shuffle(instants)
            while time.monotonic() < until and most > 0:
                if not instants:
                    break
                (name, number), where = instants.pop()
                most -= 1
                world.load("template")
                try:
                    done = inject.run([world.program, *case.arguments], world.variables, world.home, name, number, processor=ALONE,
                                      prepare=world.prepared)
                    world.lose_power(random_.random() < 0.6)
                    rounds += 1
                    table[case.name] += 1
                    judge(world, case, before, state_of(world), done, "SIGKILL")
                    world.wait()
                    world.run_again(case)
                    settled(world, case, state_of(world), later)
                except (Wrong, TimeoutError) as fault:
                    wrong += 1
                    print(f"  {case.name}: power lost at {name} {number} ({where.replace(str(folder), '')}): {fault}"[:1200], flush=True)
    finally:
        client.kill()
        client.wait()
        world.unmount()
        shutil.rmtree(folder, ignore_errors=True)
    for name, count in table.items():
        print(f"| {name} | {count} |")
    print(f"power: lost {rounds} times, {wrong} wrong (seed {options.seed})")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
