"""Scratch folders in which a client works, in namespaces without a network, and what it wrote there."""

import fnmatch
import json
import os
import pathlib
import re
import shutil
import subprocess
import time
from datetime import datetime, timedelta, timezone

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
PROGRAM = pathlib.Path(os.environ.get("CCRETAIN", TARGET / "debug/ccretain")).resolve()
# Stands in whatever a user says, pastes, reads or writes, so that a search tells where any of it is left.
CANARY = "canary7q"
TRACED = "openat,open,creat,rename,renameat,renameat2,link,linkat,symlink,symlinkat"
CALL = re.compile(r'^(\w+)\((.*)\) += (-?\d+)')
PATH = re.compile(r'(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:[^"\\]|\\.)*)"')

INSIDE = r"""
set -e
mount --bind "$1/systmp" /tmp; mkdir -p "$1/empty"
# Numbers of processes are the same in each namespace, and names of semaphores are made of them.
mount -t tmpfs tmpfs /dev/shm
[ ! -d "$2" ] || mount --bind "$1/empty" "$2"
world=$1; shift 2
ip link set lo up 2>/dev/null || python3 -c '
import fcntl, socket, struct
s = socket.socket()
name = struct.pack("16sh14x", b"lo", 0)
flags = struct.unpack("16sh14x", fcntl.ioctl(s, 0x8913, name))[1]
fcntl.ioctl(s, 0x8914, struct.pack("16sh14x", b"lo", flags | 1))'
rm -f "$world/port"
python3 "$world/api.py" "$world/port" >/dev/null 2>&1 &
for _ in $(seq 200); do [ -s "$world/port" ] && break; sleep 0.05; done
export ANTHROPIC_BASE_URL="http://127.0.0.1:$(cat "$world/port")"
# Not by exec: strace would wait for the service, too; and for what the client leaves running behind a terminal.
set +e
rm -f "$world/screen.done"
# What runs in the background would get no input.
exec 3<&0
"$@" <&3 &
for _ in $(seq 3000); do
  kill -0 $! 2>/dev/null && [ ! -e "$world/screen.done" ] || break
  sleep 0.2
done
# What goes on without its terminal gets a while to write, and ends with the namespace.
[ ! -e "$world/screen.done" ] || { sleep 5; exit 0; }
wait $!
"""


TIMES = re.compile(rb'("(?:timestamp|createdAt|updatedAt|startedAt)":\s*")(\d{4}-\d\d-\d\dT[0-9:.]+Z)(")')
NUMBERS = re.compile(rb'("(?:timestamp|startedAt|updatedAt|statusUpdatedAt|createdAt|claimedAt)":\s*)(\d{13})')


def number_of(version):
    """A version as numbers that can be compared."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


class World:
    """Scratch folders in which a client works."""

    def __init__(self, folder, program, version):
        self.folder, self.program, self.version = folder, program, number_of(version)
        self.home, self.temp, self.project = folder / "home", folder / "tmp", folder / "project"
        # Beside the world, so that its copies are small.
        self.trace = folder.with_name(f"{folder.name}.trace")
        for path in (self.home, self.temp, self.project, folder / "systmp", self.trace, folder / "state"):
            path.mkdir(parents=True)
        for script in ("api.py", "type.py"):
            shutil.copy(HERE / script, folder)
        self.uid, self.runs = os.getuid(), 0
        self.trust({})

    def trust(self, more):
        """What the client would ask at its first start."""
        project = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
        known = {"hasCompletedOnboarding": True, "theme": "dark", "projects": {str(self.project): project}}
        known["customApiKeyResponses"] = {"approved": ["no-key"], "rejected": []}
        (self.home / ".claude.json").write_text(json.dumps({**known, **more}))

    def settings(self, settings):
        (self.home / ".claude").mkdir(exist_ok=True)
        (self.home / ".claude/settings.json").write_text(json.dumps(settings))

    def environment(self, more):
        return {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "TMPDIR": str(self.temp),
            "CLAUDE_CODE_TMPDIR": str(self.temp),
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "ANTHROPIC_API_KEY": "no-key",
            "DISABLE_AUTOUPDATER": "1",
            "DISABLE_ERROR_REPORTING": "1",
            "DISABLE_TELEMETRY": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "CLAUDE_CODE_AUTO_CONNECT_IDE": "false",
            **more,
        }

    def inside(self, command, env, said=None, limit=120):
        """Runs a command in namespaces of its own, which end with it."""
        unshare = ["unshare", "--net", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc"]
        words = unshare + ["sh", "-c", INSIDE, "sh", str(self.folder), os.path.expanduser("~/.claude")] + command
        stdin = {"input": said} if said else {"stdin": subprocess.DEVNULL}
        done = {"cwd": self.project, "env": env, "capture_output": True, "text": True, "errors": "replace"}
        try:
            return subprocess.run(words, timeout=limit, **done, **stdin)
        except subprocess.TimeoutExpired:
            return None

    def client(self, *arguments, env=None, said=None, limit=120, wrapper=()):
        self.runs += 1
        strace = ["strace", "-ff", "-y", "-qq", "--seccomp-bpf", "-s", "4096", "-e", f"trace={TRACED}"]
        strace += ["-e", "signal=none", "-o", str(self.trace / str(self.runs))]
        node = ["node"] if self.program.suffix == ".js" else []
        command = strace + list(wrapper) + node + [str(self.program), *arguments]
        return self.inside(command, self.environment(env or {}), said, limit)

    def type(self, script, *arguments, env=None):
        typing = ["python3", str(self.folder / "type.py"), json.dumps(script), str(self.folder / "screen"), "--"]
        return self.client(*arguments, env=env, wrapper=typing, limit=400)

    def ccretain(self, *arguments):
        """Runs the program on this world; /tmp is the world's there too."""
        env = {"HOME": str(self.home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TMPDIR": str(self.temp)}
        env["CLAUDE_CODE_TMPDIR"] = str(self.temp)
        env["CCRETAIN_STATE_DIR"] = env["CCRETAIN_CONFIG_DIR"] = str(self.folder / "state")
        script = 'mount --bind "$1/systmp" /tmp; shift; exec "$@"'
        words = ["unshare", "--mount", "sh", "-ec", script, "sh", str(self.folder), str(PROGRAM), *arguments]
        return subprocess.run(words, env=env, cwd=self.folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)

    def below(self, path):
        """A path of the client's as one below the world; None for one of the machine, or of the project."""
        path = os.path.normpath(path)
        if path.startswith("/tmp/"):
            return pathlib.PurePath("systmp") / path[len("/tmp/"):]
        try:
            below = pathlib.PurePath(path).relative_to(self.folder)
        except ValueError:
            return None
        own = below.parts[0] in ("home", "tmp") or below.parts[:2] == ("project", ".claude")
        return below if own and len(below.parts) > 1 else None

    def written(self):
        """Every path that was created or written, and those beside the scratch folders."""
        paths, moved = set(), []
        for log in self.trace.iterdir():
            for line in log.read_text(errors="replace").splitlines():
                found = CALL.match(line)
                if not found or int(found[3]) < 0:
                    continue
                name, arguments = found[1], found[2]
                if name.startswith("open") and not re.search(r"O_CREAT|O_WRONLY|O_RDWR", arguments):
                    continue
                named = [
                    os.path.join(folder or self.project, path.encode().decode("unicode_escape", "replace"))
                    for folder, path in PATH.findall(arguments)
                ]
                if name.startswith("rename") and len(named) > 1:
                    moved.append(named[:2])
                elif named:
                    # A link or symlink makes its last path.
                    paths.add(named[0] if name in ("open", "openat", "creat") else named[-1])
        for source, target in moved:
            # Of a folder that got another name, its files did.
            within = [path[len(source):] for path in paths if path.startswith(source + "/")]
            paths.update(target + rest for rest in within or [""])
        inside, outside = set(), set()
        for path in paths:
            below = self.below(path)
            if below:
                inside.add(below)
            elif not path.startswith((str(self.folder), "/dev/", "/proc/", "/sys/")):
                outside.add(path)
        return inside, outside

    def files(self):
        for top in ("home", "tmp", "systmp"):
            for path in (self.folder / top).rglob("*"):
                if path.is_symlink() or path.is_file():
                    yield path

    def left(self):
        """Files of stores in which a word of the conversations is left, or whose name is one."""
        own = lambda path: "ccretain" in path.relative_to(self.folder).parts
        found = []
        for path in self.files():
            words = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
            if CANARY.encode() in path.name.encode() + words and not own(path):
                found.append(str(path.relative_to(self.folder)))
        return found



    def is_between(self, first, last="9.9.9"):
        """Whether this client is none before the first and none after the last."""
        return number_of(first) <= self.version <= number_of(last)

    def has_made(self, pattern):
        """Whether a file was made that fits a pattern, in which `*` crosses folders."""
        made = {str(path.relative_to(self.folder)) for path in self.files()} | {str(path) for path in self.written()[0]}
        return any(fnmatch.fnmatchcase(path, pattern) for path in made)

    def let_pass(self, days):
        """Makes everything older: times of files, and those in records."""
        old = timedelta(days=days)

        def moved(found):
            time_of = datetime.fromisoformat(found[2].decode().replace("Z", "+00:00")) - old
            text = time_of.astimezone(timezone.utc).isoformat(timespec="milliseconds")
            return found[1] + text.replace("+00:00", "Z").encode() + found[3]

        now = time.time() - days * 86_400
        for path in self.files():
            if not path.is_symlink() and path.suffix in (".jsonl", ".json"):
                text = path.read_bytes()
                text = TIMES.sub(moved, text)
                earlier = lambda found: found[1] + str(int(found[2]) - days * 86_400_000).encode()
                path.write_bytes(NUMBERS.sub(earlier, text))
        for top in ("home", "tmp", "systmp"):
            for path in sorted((self.folder / top).rglob("*"), key=lambda path: -len(path.parts)):
                if not path.is_socket():
                    os.utime(path, (now, now), follow_symlinks=False)

    def copy(self, name):
        """The same world once more; it is put back into the same place, as records and names hold its paths."""
        copy = self.folder.parent / f"{self.folder.name}.{name}"
        subprocess.run(["cp", "-a", self.folder, copy], check=True)
        return copy

    def put_back(self, copy):
        shutil.rmtree(self.folder)
        subprocess.run(["cp", "-a", copy, self.folder], check=True)

    def remove(self):
        shutil.rmtree(self.folder)
        shutil.rmtree(self.trace)
