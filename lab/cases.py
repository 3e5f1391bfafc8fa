"""The commands that change something, each with a world and the fate of every file in it."""

import json
import os
import shutil
from pathlib import Path

from oracle import number_of
from world import DAY, Wrong, session_id

DUE, SEALED_DUE, IDLE, HELD, LIVE, YOUNG, SEALED = (1, 2, 3), 9, (4, 5), 6, 7, 8, 10
ORPHAN = 12


class Case:
    """One command. `begins` marks the first call of its changing phase."""

    def __init__(self, name, arguments, fates, *, code=0, begins="ccretain/lock", again=None, codes_again=(0,), prepare=None,
                 appear=(), pruned=False, deletes_loose=False, rest="kept"):
        self.name, self.arguments, self.fates, self.code, self.begins = name, arguments, fates, code, begins
        self.again, self.codes_again = again or [arguments], codes_again
        self._prepare, self.appear, self.pruned, self.deletes_loose = prepare, appear, pruned, deletes_loose
        self.rest = rest

    def prepare(self, world):
        full(world)
        if self._prepare:
            self._prepare(world)

    def fate(self, path):
        number = number_of(path)
        if number in self.fates:
            return self.fates[number]
        if self.deletes_loose and ("paste-cache/" in path):
            return "deleted"
        return self.rest if number is not None else "kept" if self.rest == "deleted" else self.rest

    def may_appear(self, path):
        return self.fates.get(number_of(path)) == "unsealed" or path.startswith(tuple(self.appear))

    def line_goes(self, line):
        if not self.pruned or not line:
            return False
        try:
            line = json.loads(line)
        except ValueError:
            return False
        number = number_of(line.get("sessionId", ""))
        return self.fates.get(number) == "deleted" if number is not None else line["project"] == "/old"

    def check_config(self, before, content):
        try:
            after = json.loads(content)
        except ValueError:
            raise Wrong("'.claude.json' is no JSON any more") from None
        if self.pruned:
            for document in (before, after):
                for project in document["projects"].values():
                    for key in ("history", "lastSessionId", "lastCost"):
                        project.pop(key, None)
        if before != after:
            raise Wrong("'.claude.json' lost more than what is due")


def full(world):
    """A world with a session of every fate."""
    world.begin()
    key = world.must("key", "new").stdout.strip()
    shutil.copy(world.root / "config/identity.age", world.folder / "key1.age")
    world.recipient = key
    holds = [{"name": "case", "sessions": [session_id(HELD)], "reason": "a case"}]
    world.policy(recipients=[key], holds=holds)
    for number in DUE:
        world.line(world.session(number, 40 * DAY), 40 * DAY, paste="0123456789abcdef" if number == 1 else None)
    for number in IDLE:
        world.line(world.session(number, 5 * DAY), 5 * DAY)
    world.line(world.session(HELD, 40 * DAY), 40 * DAY)
    world.pid_file(world.session(LIVE, 40 * DAY), world.client)
    world.line(session_id(LIVE), 40 * DAY)
    world.line(world.session(YOUNG, 7200), 7200)
    for number, age in ((SEALED_DUE, 40), (SEALED, 6)):
        world.session(number, age * DAY)
        world.must("seal", session_id(number))
    world.put(Path(f"file-history/{session_id(ORPHAN)}/0123abcd@v1"), "of a session that is gone", 90 * DAY, 0o644)
    world.line(None, 40 * DAY, project="/old")
    world.line(None, DAY / 2, project="/new")
    with open(world.store / "history.jsonl", "ab") as file:
        file.write(b"no JSON at all\n")
    world.put(world.home / ".claude.json", json.dumps({"numStartups": 3, "projects": {"/work/acme": {"allowedTools": ["x"]}}}), DAY)
    world.put(Path("settings.json"), json.dumps({"cleanupPeriodDays": 99999}), DAY)
    world.put(Path(".credentials.json"), "{}", 90 * DAY)
    world.put(Path("notes-of-mine.txt"), "mine", 90 * DAY)
    world.put(Path("projects/-work-acme/memory/MEMORY.md"), "remember", 90 * DAY)


def fresh(world):
    """The same without anything that earlier runs left."""
    for number in (SEALED_DUE, SEALED):
        shutil.rmtree(world.store / "ccretain/sealed" / session_id(number))
    shutil.rmtree(world.store / "ccretain")
    shutil.rmtree(world.root / "state")
    (world.root / "state").mkdir(mode=0o700)


def second_key(world):
    """The policy names another recipient than those that the sealed files have."""
    identity = world.root / "config/identity.age"
    text = identity.read_text()
    os.remove(identity)
    new = world.must("key", "new").stdout.strip()
    shutil.copy(identity, world.folder / "key2.age")
    identity.write_text(text + identity.read_text())
    identity.chmod(0o600)
    world.policy(recipients=[new], holds=[{"name": "case", "sessions": [session_id(HELD)], "reason": "a case"}])


def preserved(world):
    """A hold with a preservation copy, whose session another tool has removed."""
    world.must("hold", "add", "--session", session_id(IDLE[0]), "--reason", "a case", "--name", "kept", "--preserve")
    for path in list(world.files()):
        if number_of(path) == IDLE[0] and "/ccretain/" not in path and not path.startswith("state/"):
            os.remove(world.root / path)


def open_to_others(world):
    for path in (world.store, world.store / "projects", world.store / "history.jsonl", world.store / f"debug/{session_id(1)}.txt"):
        path.chmod(path.stat().st_mode | 0o044)


def without_key(world):
    os.remove(world.root / "config/identity.age")


deleted = {number: "deleted" for number in (*DUE, SEALED_DUE, ORPHAN)}
sealed = {number: "sealed" for number in IDLE}
idle = [session_id(number) for number in IDLE]
preserve = ["hold", "add", "--session", session_id(IDLE[0]), "--reason", "a case", "--name", "kept", "--preserve"]
everything = {number: "deleted" for number in (*DUE, *IDLE, YOUNG, SEALED, SEALED_DUE, ORPHAN)}

CASES = [
    Case("enforce", ["enforce", "--yes", "--json"], {**deleted, **sealed}, pruned=True, deletes_loose=True),
    Case("enforce, first", ["enforce", "--yes", "--json"], {**deleted, **sealed}, pruned=True, deletes_loose=True, prepare=fresh),
    Case("seal", ["seal", *idle], sealed, codes_again=(0, 2)),
    Case("unseal", ["unseal", session_id(SEALED)], {SEALED: "unsealed"}, codes_again=(0, 2)),
    Case("rekey", ["rekey"], {}, prepare=second_key),
    Case("purge", ["purge", "--yes", "--even-live", "--session", session_id(IDLE[0]), "--json"], {IDLE[0]: "deleted"}, code=1,
         pruned=True, codes_again=(0, 1, 2)),
    Case("hold preserve", preserve, {}, again=[["hold", "release", "kept", "--reason", "once more"], preserve], codes_again=(0, 2)),
    Case("hold restore", ["hold", "restore", "kept"], {IDLE[0]: "unsealed"}, prepare=preserved, codes_again=(0, 1, 2)),
    Case("key new", ["key", "new"], {}, prepare=without_key, begins="config", codes_again=(0, 1, 2, 4)),
    Case("check --fix", ["check", "--fix", "--json"], {}, code=3, rest="changed", prepare=open_to_others, begins="settings",
         codes_again=(0, 3)),
    Case("schedule cron", ["schedule", "install", "--backend", "cron"], {}, begins="state", appear=("home/.local/",)),
    Case("schedule systemd", ["schedule", "install", "--backend", "systemd"], {}, begins="state",
         appear=("home/.config/systemd/", "home/.local/")),
]


def chosen(text):
    """The cases that `--only` names."""
    return chosen_of(text, [case.name for case in CASES])


def chosen_of(text, known):
    """The names in a text, apart by `+`, or by a comma where no name has one."""
    names = text.split("+" if "+" in text or text in known else ",")
    unknown = set(names) - set(known)
    if unknown:
        raise SystemExit(f"no such command: {', '.join(unknown)}; there are: {'; '.join(known)}")
    return names
