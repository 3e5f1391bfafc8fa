#!/usr/bin/env python3
"""Fault injection: every system call of a command's changing phase fails once, and is once the last thing it does.

    lab/faults.py PROGRAM [--seconds N] [--only COMMAND[+COMMAND]] [--calls CALL[,CALL]] [--kills] [--errors] [--full]

A clean run under strace tells which calls there are, from the first lock on. Then each of them, by its number among the
calls of its kind, is made to fail with every error that it may have, and to be the moment of a SIGKILL (`inject.py`).
After each the oracle looks at what is there: nothing is lost that was not both due and in the ledger, nothing half is taken
for whole, the exit code and the message fit, and the next run brings about what the clean run did. With a time budget, an
even sample of them is tried."""

import argparse
import collections
import errno
import os
import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import inject
from cases import CASES, chosen
from oracle import finished, judge, said, settled, shape, state_of
from world import World, Wrong, scratch, shield

READS = ["EIO", "EINTR"]
LOOKS = ["EIO", "EACCES"]
CHANGES = ["EIO", "EACCES", "EROFS", "ENOSPC", "EDQUOT"]
WRITES = ["EIO", "ENOSPC", "EDQUOT", "EINTR"]
#: What may go wrong with each call; what is not here cannot fail, or belongs to the runtime.
ERRORS = {
    "open": ["EIO", "EACCES", "EMFILE", "EINTR"], "openat": ["EIO", "EACCES", "EMFILE", "EINTR"],
    "openat2": ["EIO", "EACCES", "EMFILE", "EINTR"],
    "read": READS, "pread64": READS, "getdents64": ["EIO"], "lseek": ["EIO"],
    "stat": LOOKS, "lstat": LOOKS, "newfstatat": LOOKS, "statx": LOOKS, "fstat": ["EIO"], "readlink": LOOKS, "readlinkat": LOOKS,
    "fstatfs": ["EIO"], "statfs": LOOKS, "access": LOOKS, "faccessat": LOOKS, "faccessat2": LOOKS,
    "write": WRITES, "pwrite64": WRITES, "writev": WRITES, "copy_file_range": WRITES, "sendfile": WRITES,
    "ftruncate": ["EIO", "ENOSPC", "EINTR"], "fallocate": ["EIO", "ENOSPC", "EDQUOT", "EINTR"],
    "fsync": ["EIO", "ENOSPC", "EDQUOT"], "fdatasync": ["EIO", "ENOSPC", "EDQUOT"], "syncfs": ["EIO", "ENOSPC"],
    "sync_file_range": ["EIO", "ENOSPC"],
    "rename": CHANGES, "renameat": CHANGES, "renameat2": CHANGES, "link": CHANGES, "linkat": CHANGES,
    "symlink": CHANGES, "symlinkat": CHANGES,
    "unlink": ["EIO", "EACCES", "EROFS"], "unlinkat": ["EIO", "EACCES", "EROFS"], "rmdir": ["EIO", "EACCES", "EROFS"],
    "mkdir": CHANGES, "mkdirat": CHANGES,
    "fchmod": ["EIO", "EACCES", "EROFS"], "chmod": ["EIO", "EACCES", "EROFS"], "fchmodat": ["EIO", "EACCES", "EROFS"],
    "fchown": ["EIO", "EACCES", "EROFS"], "fchownat": ["EIO", "EACCES", "EROFS"],
    "utimensat": ["EIO", "EACCES", "EROFS"], "flock": ["EIO", "EINTR"],
    "fgetxattr": ["EIO"], "flistxattr": ["EIO"], "getxattr": ["EIO"], "listxattr": ["EIO"],
    # Where an ACL cannot be taken away, a file is for its owner alone, by contract: no fault of this kind is tried.
    "fsetxattr": ["EIO", "ENOSPC", "EDQUOT"],
    "execve": ["EACCES", "EIO"], "pipe2": ["EMFILE"], "fcntl": ["EMFILE"],
}
CHANGING = {
    "ftruncate", "fallocate", "fsync", "fdatasync", "syncfs", "sync_file_range", "unlink", "unlinkat", "rmdir", "fchmod", "chmod",
    "fchmodat", "fchown", "fchownat", "utimensat", "fsetxattr", "fremovexattr", "flock", "execve",
}
CREATES = ["ENOSPC", "EDQUOT", "EROFS"]
#: On one processor the program has one thread for shared work, so that a call's number is mostly the same call's.
ALONE = min(os.sched_getaffinity(0))


def calls_of(world, case, log):
    """The calls of a clean run's changing phase: (name, number) with the errors that they may have, and where."""
    strace = [shutil.which("strace"), "-f", "-qq", "-y", "-s", "200", "-o", str(log)]
    def prepare():
        os.sched_setaffinity(0, {ALONE})
        if world.prepared:
            world.prepared()

    done = world.run(*case.arguments, through=strace, preexec_fn=prepare)
    counts, found, has_begun = collections.Counter(), {}, False
    for line in log.read_text(errors="replace").splitlines():
        match = re.match(r"(\d+) +(\w+)\((.*)", line)
        if not match:
            continue
        _, name, rest = match.groups()
        counts[name] += 1
        has_begun = has_begun or case.begins in rest
        if not has_begun or name not in ERRORS:
            continue
        # The standard library gives up where it cannot read what a child says.
        if "<pipe:" in rest.split(",")[0]:
            continue
        if name == "fcntl" and "F_DUPFD" not in rest:
            continue
        errors = list(ERRORS[name])
        if name.startswith("open") and "O_CREAT" in rest:
            errors += CREATES
        if name.startswith("open") and "/proc/" in rest and "O_CREAT" not in rest:
            errors = ["EIO", "EACCES", "EMFILE"]
        # What it has to say cannot be said where that itself fails.
        is_said = name == "write" and re.match(r"[12]<", rest)
        found[name, counts[name]] = ([] if is_said else errors, rest[:140])
    if not has_begun:
        raise Wrong(f"the run never reached '{case.begins}'")
    return done, found


def changes(name, where):
    """Whether a call changes what is on the disk: a kill before any other is a kill before the next of these."""
    return ERRORS[name] in (CHANGES, WRITES) or name in CHANGING or name.startswith("open") and "O_CREAT" in where


def plan(found, options):
    for at, ((name, number), (errors, where)) in enumerate(found.items()):
        is_change = changes(name, where)
        if options.errors:
            # What only looks meets one error, each call another one; what changes something meets all.
            if not is_change and not options.full:
                errors = errors[at % max(len(errors), 1):][:1]
            yield from ((name, number, error, where) for error in errors)
        if options.kills and (is_change or options.full):
            yield name, number, "SIGKILL", where


class Part:
    """One command with all its faults."""

    def __init__(self, world, case, options):
        self.world, self.case, self.options = world, case, options
        self.table = collections.defaultdict(collections.Counter)
        self.faults, self.seen, self.settled, self.random = [], collections.Counter(), 0, random.Random(7)

    def begin(self):
        world, case = self.world, self.case
        world.opened.clear()
        case.prepare(world)
        world.save("template")
        world.prepared = inject.broken(self.options.broken)
        self.before = state_of(world)
        done = world.run(*case.arguments)
        if done.returncode != case.code:
            raise Wrong(f"a clean run ends with {done.returncode}: {done.stderr}")
        self.clean = state_of(world)
        judge(world, case, self.before, self.clean, done, None)
        finished(case, self.clean)
        settled(world, case, self.clean, self.clean)
        world.day()
        self.later = state_of(world)
        world.load("template")
        recorded, found = calls_of(world, case, world.folder / "log")
        if recorded.returncode != case.code:
            raise Wrong(f"a run under strace ends with {recorded.returncode}: {recorded.stderr}")
        return found

    def one(self, name, number, error, where):
        world, case = self.world, self.case
        world.load("template")
        value = None if error == "SIGKILL" else getattr(errno, error)
        try:
            done = inject.run([world.program, *case.arguments], world.variables, world.home, name, number, value, processor=ALONE,
                              prepare=world.prepared)
        except TimeoutError:
            raise Wrong("it hangs") from None
        if done.hits < number:
            return "not reached"
        # Another run may have this number at the pipe of a child, where the standard library gives up.
        if "library/std/src/process.rs" in done.stderr:
            return "gives up at the pipe of a child"
        after = state_of(world)
        judge(world, case, self.before, after, done, error)
        if done.returncode == case.code and error != "SIGKILL":
            try:
                settled(world, case, after, self.clean, is_first=True)
            except Wrong:
                # An exit code that always says that something is left needs the reason beside it.
                if case.code == 0:
                    raise
                said(done, error)
        # What a store looks like then has often been seen, and mostly settles as it did before.
        left = (shape(world, after), frozenset(path for path in after.files if path.startswith("state/")))
        self.seen[left] += 1
        if self.seen[left] <= 2 or self.options.full or self.random.random() < 0.1:
            self.settled += 1
            world.wait()
            world.run_again(case)
            settled(world, case, state_of(world), self.later)
        if error == "SIGKILL":
            return "killed" if done.returncode in (-9, 137) else "ended before"
        return {case.code: "done", 1: "exit 1", 2: "exit 2", 4: "exit 4", 75: "exit 75"}.get(done.returncode, "?")

    def go(self, deadline):
        found = self.begin()
        faults = list(plan(found, self.options))
        if self.options.calls:
            faults = [fault for fault in faults if fault[0] in self.options.calls]
        if deadline:
            random.Random(7).shuffle(faults)
        tried = 0
        for name, number, error, where in faults:
            if deadline and time.monotonic() > deadline:
                break
            tried += 1
            try:
                verdict = self.one(name, number, error, where)
            except Wrong as wrong:
                verdict = "WRONG"
                where = where.replace(str(self.world.folder), "")
                self.faults.append(f"{self.case.name}: {error} at {name} {number} ({where}): {wrong}")
                print(f"  {self.faults[-1]}"[:1200], flush=True)
            kind = "kill" if error == "SIGKILL" else error
            self.table[name][kind] += 1
            self.table[name][verdict] += 1
        print(f"{self.case.name}: {tried} of {len(faults)} faults at {len(found)} calls, {self.settled} followed by the next runs, "
              f"{len(self.faults)} wrong", flush=True)
        return tried

    def print_table(self):
        for name, row in sorted(self.table.items()):
            kinds = sorted(kind for kind in row if kind in errno.errorcode.values()) + ["kill"]
            verdicts = sorted(kind for kind in row if kind not in kinds)
            tried, ends = (", ".join(f"{kind} {row[kind]}" for kind in some if row[kind]) for some in (kinds, verdicts))
            print(f"| {self.case.name} | {name} | {tried} | {ends} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("--seconds", type=float, help="stop after this long, with an even sample tried of each command")
    parser.add_argument("--only", type=chosen)
    parser.add_argument("--calls", type=lambda text: text.split(","))
    parser.add_argument("--full", action="store_true", help="every error of every call, and a kill at each")
    parser.add_argument("--broken", type=lambda text: text.split(","), help="calls that do nothing: the lab must notice")
    parser.add_argument("--kills", action="store_true", help="only kills")
    parser.add_argument("--errors", action="store_true", help="only errors")
    options = parser.parse_args()
    if not options.kills and not options.errors:
        options.kills = options.errors = True
    missing = [tool for tool in ("strace", "age", "zstd") if not shutil.which(tool)]
    if not inject.can():
        missing.append("Linux on x86_64")
    if missing:
        print(f"SKIPPED: faults need {', '.join(missing)}")
        return 0
    shield()
    cases = [case for case in CASES if not options.only or case.name in options.only]
    folder = scratch()
    parts, begun = [], time.monotonic()
    client = subprocess.Popen(["sleep", "1000000"])
    try:
        world = World(folder, options.program.resolve())
        world.client = client.pid
        for at, case in enumerate(cases):
            deadline = None
            if options.seconds:
                left = begun + options.seconds - time.monotonic()
                deadline = time.monotonic() + left / (len(cases) - at)
            part, world.prepared = Part(world, case, options), None
            parts.append(part)
            try:
                part.go(deadline)
            except Wrong as wrong:
                part.faults.append(f"{case.name}: {wrong}")
                print(f"  {part.faults[-1]}", flush=True)
    finally:
        client.kill()
        client.wait()
        shutil.rmtree(folder, ignore_errors=True)
    print("| command | call | tried | verdicts |\n| --- | --- | --- | --- |")
    for part in parts:
        part.print_table()
    wrong = sum(len(part.faults) for part in parts)
    rows = [row for part in parts for row in part.table.values()]
    tried = sum(count for row in rows for kind, count in row.items() if kind in errno.errorcode.values())
    kills = sum(row["kill"] for row in rows)
    print(f"faults: {tried} calls failed and {kills} kills over {len(cases)} commands in {time.monotonic() - begun:.0f} s, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
