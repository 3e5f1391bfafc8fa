#!/usr/bin/env python3
"""Compares builds of the program with each other, in turn: start, dry run and deletion over one store.

  benches/programs.py glibc=target/dist/ccretain musl=target/x86_64-unknown-linux-musl/dist/ccretain
  FILES=20000 ROUNDS=5 WORK=/dev/shm benches/programs.py ...

Each row has medians of whole processes with warm caches: seconds that pass, seconds of the processors, the most memory,
and their ratios to the first program. Times move between two moments of the same machine; ratios of one row do not.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import common
from common import median, run

programs = dict(pair.split("=", 1) for pair in sys.argv[1:])
if not programs:
    sys.exit(__doc__)
files, rounds = int(os.environ.get("FILES", 100_000)), int(os.environ.get("ROUNDS", 5))
shm = os.environ.get("WORK") or ("/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
first = next(iter(programs))


def row(what, figures):
    """One line a program; `figures` has seconds, memory and processor seconds of each round."""
    own = {name: [median(column) for column in zip(*rounds_)] for name, rounds_ in figures.items()}
    for name, (took, most, busy) in own.items():
        ratios = (f"{mine / other:5.2f} x" for mine, other in zip((took, busy, most), (own[first][0], own[first][2], own[first][1])))
        print(f"{what:<8} {name:<10} {took:8.3f} s {busy:8.3f} s {most / 1e6:7.1f} MB   {' '.join(ratios)}", flush=True)


def in_turn(make, prepare, count):
    figures = {name: [] for name in programs}
    for number in range(count + 1):
        for name, program in programs.items():
            measured = run(make(program), prepare(name))
            if number > 0:  # The first round warms the caches.
                figures[name].append(measured)
    return figures


with tempfile.TemporaryDirectory(prefix="ccretain-programs.", dir=shm) as folder:
    work = Path(folder)
    policy = '{"version":1,"guard":"off","rules":[{"name":"all","deleteAfter":"30d"}]}'

    def home(name):
        return common.home(work / name, policy)

    print(f"{files} files, {rounds} rounds, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for name, program in programs.items():
        print(f"{name}: {os.path.getsize(program)} bytes")
    print(f"{'':<8} {'':<10} {'passes':>10} {'processor':>10} {'memory':>10}   {'ratios to ' + first}")
    empty = home("empty")
    row("start", in_turn(lambda program: [program, "--version"], lambda name: empty, 50))
    # A state of its own for each: what one build remembers is nothing to another.
    maker = os.environ.get("STORE_MAKER", str(Path(__file__).parent / "make_store.py"))
    big = home("big") / "home/.claude"
    big.mkdir(mode=0o700, exist_ok=True)
    subprocess.run([maker, str(big), "--files", str(files), "--now", str(int(time.time()))], check=True, stdout=subprocess.DEVNULL)

    def copy(name):
        root = work / f"copy-{name}"
        shutil.rmtree(root, ignore_errors=True)
        home(root.name)
        subprocess.run(["cp", "-a", str(big), str(root / "home/.claude")], check=True)
        return root

    copies = {name: copy(name) for name in programs}
    time.sleep(4)  # What changed moments ago is not remembered.
    row("dry run", in_turn(lambda program: [program, "--no-progress", "enforce", "--dry-run"], copies.get, rounds))
    row("delete", in_turn(lambda program: [program, "--no-progress", "enforce", "--yes"], copy, rounds))
