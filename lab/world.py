"""A small world for the lab: a home with sessions of every fate, the program run on it, and what is there judged from
outside, with nothing of the program's own code."""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DAY = 86_400
SIDES = {
    "projects/-work-acme/{id}/tool-results/b1.txt": "output",
    "projects/-work-acme/{id}/subagents/agent-a1b2c3d4.jsonl": None,
    "file-history/{id}/0123abcd@v1": "a copy of an edited file",
    "debug/{id}.txt": "debug",
}


def session_id(number):
    return f"{number:08x}-0000-4000-8000-00000000cafe"


def stamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(seconds))


def options_of(doc, seconds=60):
    """What every random part of the lab is told."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("--seconds", type=float, default=seconds)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    return parser


def scratch():
    """A folder for a world, in memory where there is one."""
    return Path(tempfile.mkdtemp(prefix="ccretain-lab-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))


def shield(needs_mounts=False):
    """Keeps the program from what Claude Code has in the real temp folder, where it looks wherever TMPDIR points: as the
    suite does, an empty folder of nobody's is laid over each, or nothing is run. Gives whether mounts can be made."""
    own = (f"claude-{os.getuid()}", "claude")
    begins = ("claude-paste-", "claude-preview-", "claude-pdf-", "cc-history-prefetch-", "claude-chrome-screenshots-",
              "claude-resume-", "cc-daemon-")
    real = [entry.path for entry in os.scandir("/tmp")
            if (entry.name in own or entry.name.startswith(begins)) and entry.is_dir(follow_symlinks=False)]
    can_mount = os.geteuid() == 0 and shutil.which("unshare") is not None
    if can_mount and (real or needs_mounts) and "CCRETAIN_LAB_MOUNTS" not in os.environ:
        os.execvpe("unshare", ["unshare", "-m", "--propagation", "private", sys.executable, *sys.argv],
                   {**os.environ, "CCRETAIN_LAB_MOUNTS": "1"})
    for path in real:
        if not can_mount:
            print(f"SKIPPED: '{path}' is Claude Code's, and can be hidden by root alone")
            sys.exit(0)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=700,uid=65533", "tmpfs", path], check=True)
    return can_mount


class Wrong(Exception):
    """What the contract does not allow."""


class World:
    """A sandbox at one path, which a copy of a template can replace at any time: what is remembered by path fits."""

    def __init__(self, folder, program):
        self.folder = Path(folder)
        self.root = self.folder / "world"
        self.program = str(program)
        self.now = time.time()
        self.opened = {}
        #: What a run does before it begins: nothing, or what breaks it.
        self.prepared = None
        tools = self.folder / "bin"
        if not tools.exists():
            tools.mkdir(parents=True)
            self._stand_ins(tools)
        self.variables = {
            "HOME": self.home, "XDG_CONFIG_HOME": self.home / ".config", "XDG_STATE_HOME": self.home / ".local/state",
            "XDG_CACHE_HOME": self.home / ".cache", "XDG_DATA_HOME": self.home / ".local/share",
            "TMPDIR": self.root / "tmp", "CLAUDE_CODE_TMPDIR": self.root / "tmp",
            "CCRETAIN_STATE_DIR": self.root / "state", "CCRETAIN_CONFIG_DIR": self.root / "config", "TZ": "UTC",
            # Nothing else: where a stand-in cannot be started, the real one would be.
            "PATH": tools, "LC_ALL": "C.UTF-8",
        }
        self.variables = {name: str(value) for name, value in self.variables.items()}

    @property
    def home(self):
        return self.root / "home"

    @property
    def store(self):
        return self.home / ".claude"

    @property
    def temp(self):
        return self.root / f"tmp/claude-{os.getuid()}"

    def _stand_ins(self, tools):
        """Schedulers that note what they are asked: those of this machine must not be touched."""
        (tools / "crontab").write_text(
            '#!/bin/sh\ntable="$XDG_STATE_HOME/crontab"\ncase "$1" in\n-l) [ -f "$table" ] || { echo "no crontab for you" >&2; exit 1; }\n'
            'while IFS= read -r line; do printf "%s\\n" "$line"; done <"$table";;\n'
            '-r) : >"$table";;\n*) text=; while IFS= read -r line; do text="$text$line\n"; done; printf "%b" "$text" >"$table";;\nesac\n')
        (tools / "systemctl").write_text('#!/bin/sh\nexit 0\n')
        (tools / "loginctl").write_text('#!/bin/sh\necho yes\n')
        for tool in tools.iterdir():
            tool.chmod(0o755)

    def begin(self):
        shutil.rmtree(self.root, ignore_errors=True)
        for folder in ("home", "tmp", "state", "config"):
            (self.root / folder).mkdir(parents=True)
            (self.root / folder).chmod(0o700)
        (self.home / ".local/state").mkdir(parents=True)
        (self.store / "projects").mkdir(parents=True)
        self.store.chmod(0o700)

    def put(self, path, content, age, mode=0o600):
        path = path if path.is_absolute() else self.store / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(mode)
        os.utime(path, (self.now - age, self.now - age))
        return path

    def records(self, sid, age, cwd, **more):
        lines = []
        for role, old in (("user", age + 3600), ("assistant", age)):
            record = {"type": role, "sessionId": sid, "cwd": cwd, "uuid": session_id(int(age)), "version": "2.1.330",
                      "timestamp": stamp(self.now - old), "message": {"role": role, "content": "words " * 40}, **more}
            lines.append(json.dumps(record))
        return "\n".join(lines) + "\n"

    def session(self, number, age, cwd="/work/acme", sides=True, **more):
        sid = session_id(number)
        folder = re.sub("[^A-Za-z0-9]", "-", cwd)
        self.put(Path(f"projects/{folder}/{sid}.jsonl"), self.records(sid, age, cwd, **more), age)
        if sides:
            for path, content in SIDES.items():
                path = path.format(id=sid).replace("-work-acme", folder)
                content = content or self.records(sid, age, cwd, isSidechain=True, agentId="a1b2c3d4")
                self.put(Path(path), content, age, 0o644)
            self.put(self.temp / folder / sid / "tasks/b1.output", "output", age, 0o644)
            side = self.store / f"projects/{folder}/{sid}"
            os.utime(side, (self.now - age, self.now - age))
        return sid

    def line(self, sid, age, project="/work/acme", paste=None):
        line = {"display": "a prompt", "pastedContents": {}, "timestamp": int((self.now - age) * 1000), "project": project}
        if paste:
            line["pastedContents"] = {"1": {"id": 1, "type": "text", "contentHash": paste}}
            self.put(Path(f"paste-cache/{paste}.txt"), "pasted", age)
        if sid:
            line["sessionId"] = sid
        path = self.store / "history.jsonl"
        with open(path, "a") as file:
            file.write(json.dumps(line) + "\n")
        path.chmod(0o600)

    def pid_file(self, sid, pid):
        start = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
        machine = Path("/etc/machine-id").read_text().strip() if Path("/etc/machine-id").exists() else ""
        record = {"pid": pid, "sessionId": sid, "cwd": "/work/acme", "startedAt": int((self.now - 40 * DAY) * 1000),
                  "procStart": start, "version": "2.1.330", "pidDomain": f"linux:{machine}:{os.readlink('/proc/self/ns/pid')}"}
        self.put(Path(f"sessions/{pid}.json"), json.dumps(record), 40 * DAY)

    def policy(self, **more):
        policy = {"version": 1, "rules": [{"name": "all", "sealAfter": "1d", "deleteAfter": "30d"}], **more}
        path = self.root / "config/policy.json"
        path.write_text(json.dumps(policy))
        path.chmod(0o600)

    def save(self, name):
        shutil.rmtree(self.folder / name, ignore_errors=True)
        subprocess.run(["cp", "-a", self.root, self.folder / name], check=True)

    def load(self, name):
        shutil.rmtree(self.root, ignore_errors=True)
        subprocess.run(["cp", "-a", self.folder / name, self.root], check=True)

    def run(self, *arguments, through=(), timeout=60, **more):
        more.setdefault("preexec_fn", self.prepared)
        return subprocess.run([*through, self.program, *arguments], env=self.variables, cwd=self.home, capture_output=True,
                              stdin=subprocess.DEVNULL, timeout=timeout, errors="replace", **more)

    def must(self, *arguments, code=0):
        done = self.run(*arguments)
        if done.returncode != code:
            raise AssertionError(f"{arguments}: exit {done.returncode}: {done.stderr}{done.stdout[:2000]}")
        return done

    def wait(self):
        """Two hours go by for what an interrupted run may have left: drafts and empty folders."""
        then = time.time() - 7200
        for at, folders, names in os.walk(self.root, topdown=False):
            for name in names:
                if name.startswith(".ccretain-"):
                    os.utime(os.path.join(at, name), (then, then))
            # Locks are known by their time.
            if not names and not folders and not at.endswith((".lock", ".part")):
                os.utime(at, (then, then))

    def run_again(self, case):
        """The next runs, which must do what the one before left: the command again, and what runs every day."""
        for arguments in case.again:
            done = self.run(*arguments)
            if done.returncode not in (case.code, *case.codes_again):
                raise Wrong(f"{arguments[:2]} ends with {done.returncode} then: {done.stderr[:900]}{done.stdout[-900:]}")
        self.day()
        report = json.loads(self.day().stdout)["summary"]
        if any(report[done] for done in ("deleted", "sealed", "pruned", "failed")):
            raise Wrong(f"a run more still does something: {report}")

    def day(self):
        done = self.run("enforce", "--yes", "--json")
        if done.returncode != 0:
            raise Wrong(f"the next run ends with {done.returncode}: {done.stderr[:900]}{done.stdout[-900:]}")
        return done

    # What is there.

    def files(self):
        """Every file and link below the root, by its path, as (bytes, mode, mtime)."""
        found = {}
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = os.path.join(folder, name)
                at = os.lstat(path)
                if os.path.islink(path):
                    content = os.readlink(path).encode()
                else:
                    with open(path, "rb") as file:
                        content = file.read()
                found[os.path.relpath(path, self.root)] = (content, at.st_mode, at.st_mtime_ns)
        return found

    def plain_of(self, ciphertext):
        """What a sealed file holds, by stock tools; `None` where it does not open."""
        digest = hashlib.sha256(ciphertext).digest()
        if digest not in self.opened:
            keys = [argument for key in sorted(self.folder.glob("key*.age")) for argument in ("-i", str(key))]
            opened = subprocess.run(["age", "-d", *keys], input=ciphertext, capture_output=True)
            plain = opened
            if opened.returncode == 0 and opened.stdout.startswith(b"\x28\xb5\x2f\xfd"):
                plain = subprocess.run(["zstd", "-dcq"], input=opened.stdout, capture_output=True)
            self.opened[digest] = plain.stdout if plain.returncode == 0 else None
        return self.opened[digest]


def is_own(path):
    """Whether it is a file of ours: the folder in a store, state and policy."""
    return path.startswith(("home/.claude/ccretain/", "state/", "config/"))


def is_unfinished(path):
    name = os.path.basename(path)
    return name.endswith(".part") or name.startswith(".ccretain-")


def ledger(world):
    """The records of a ledger, and what is wrong with it: each must name the hash of the line before."""
    records, before, wrong, torn = [], None, None, None
    path = world.root / "state/ledger.jsonl"
    lines = path.read_bytes().split(b"\n") if path.exists() else [b""]
    for number, line in enumerate(lines[:-1], 1):
        try:
            record = json.loads(line)
        except ValueError:
            torn, before = number, hashlib.sha256(line).hexdigest()
            continue
        # What a crash left of a line is closed and recorded by the next run.
        if torn is not None and record.get("event") not in ("torn", "segment"):
            wrong = wrong or f"line {torn} of the ledger is no record"
        torn = None
        if before is not None and record.get("prev") != before:
            wrong = wrong or f"line {number} of the ledger does not name the line before"
        before = hashlib.sha256(line).hexdigest()
        records.append(record)
    return records, wrong, lines[-1]
