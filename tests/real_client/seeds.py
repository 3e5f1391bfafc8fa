"""A world of names that stand in the clients and that no other world makes one write."""

import hashlib
import json

from lab import CANARY
from worlds import ID, world

# `<S>` is the session, `<D>` its digits.
OF_SESSION = [
    "projects/-x/<S>/before-cleanup/1795723694014-02c93c0f.jsonl.replaced",
    "projects/-x/<S>/auto-mode-classifier-error.txt",
    "projects/-x/<S>/auto-mode-env-edit-x.md",
    "projects/-x/<S>/auto-mode-dump.a.json",
    "projects/-x/<S>/resume-head.jsonl",
    "projects/-x/<S>/sent-prefix.json",
    "projects/-x/<S>/workflows/wf_a.json.tmp.1a2b3c4d",
    "projects/-x/<S>/custom-title.json.tmp.1a2b3c4d",
    "projects/-x/<S>/bash-outputs/x.txt",
    "projects/-x/<S>/of-a-version-to-come.bin",
    "projects/-x/<S>.jsonl.tmp.1a2b3c4d",
    "projects/-x/<S>.ccr-tip.json.tmp.1a2b3c4d",
    "debug/<S>.1.txt",
    "debug/sdk-<S>.txt",
    "tasks/<S>/1.json.tmp.1a2b3c4d",
    "todos/<S>.json.tmp.1a2b3c4d",
    "image-cache/<S>/1.png.tmp.1a2b3c4d",
    "usage-data/session-meta/<S>.json.tmp.1a2b3c4d",
    "dump-prompts/<S>.jsonl",
]
OF_STORE = [
    "projects/-x/cloud-snapshots/archive-sync/x",
    "projects/-x/bagel/x",
    "projects/-x/connector-downloads/x.pdf",
    "paste-cache/0123456789abcdef.txt.tmp.1a2b3c4d",
    "plans/x.md.tmp.1a2b3c4d",
    "usage-data/report.html.tmp.1a2b3c4d",
    "teams/t/inboxes/x.json.tmp.1a2b3c4d",
    "teams/t.deleted-aaaaaaaa-0000-4000-8000-000000000001/x",
    "feedback/drafts/x.json.tmp.1a2b3c4d",
    "feedback-bundles/x.zip",
    "state/served-calls/x.jsonl.tmp.1a2b3c4d",
    "history.jsonl.tmp.1a2b3c4d",
    "jobs/.draft-12345678.tmp.1a2b3c4d",
    "jobs/.draft-9a881e9f",
    "daemon/dispatch/x.json",
    "daemon/dispatch/rejected/x.json",
    "daemon/auth/x.json",
    "daemon/roster.json.corrupt.1",
    "child-logs/x.txt",
    "child-logs/bridge-transcript-x.jsonl",
    "__store.db",
    "shares/x/x.md",
]
OF_TEMP = [
    "response.md",
    "copy.py",
    "copy.md",
    "copy.txt",
    "claude-prompt-1111.md",
    "claude-settings-0123456789abcdef.json",
    "auto-mode-builtins-x.md",
    "-x/steward-branch-0a0b0c0d.json",
    "-x/background-commands/x",
    "-x/<S>/tasks/x.output",
    "s/<D>/scratchpad/x.txt",
]
BESIDE_TEMP = [
    "claude-paste-00000000000000000000000000000000/clipboard.png",
    "claude-preview-abcdef/page",
    "cc-history-prefetch-abcdef/x",
    "claude-pdf-abcdef/p-1.jpg",
    "claude-resume-aaaaaaaa-0000-4000-8000-000000000001/projects/x/y.jsonl",
    "claude-chrome-screenshots-abcdef/screenshot-1.png",
    "cc-daemon-0/h/pty/x.sock.err",
]


@world()
def seeded(world):
    """Files under every name that no other world makes, which are read out of the clients, and not written by them."""
    session = ID.format(1)
    digits = int.from_bytes(hashlib.sha256(session.encode()).digest()[:8], "big") % 10**12
    store, desktop = world.home / ".claude", world.home / ".config/Claude"
    tree = world.temp / f"claude-{world.uid}"

    def put(folder, name, text=f"{CANARY}\n"):
        path = folder / name.replace("<S>", session).replace("<D>", f"{digits:012d}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if isinstance(text, str) else json.dumps(text) + "\n")

    def record(session, **more):
        said = {"type": "user", "cwd": "/x", "sessionId": session, "version": "2.0.30", "entrypoint": "cli"}
        said |= {"uuid": session, "timestamp": "2026-10-01T00:00:00.000Z"}
        return said | {"message": {"role": "user", "content": CANARY}} | more

    for folder, names in ((store, OF_SESSION + OF_STORE), (tree, OF_TEMP), (world.temp, BESIDE_TEMP)):
        for name in names:
            put(folder, name)
    put(store, "projects/-x/<S>.jsonl", record(session))
    agent = "projects/-x/<S>/subagents/workflows/wf_abcdef1-000/agent-a1.jsonl"
    put(store, agent, record(session, agentId="a1", isSidechain=True))
    begun = {"createdAt": "2026-10-01T00:00:00.000Z", "updatedAt": "2026-10-01T00:00:00.000Z"}
    put(store, "jobs/j1/state.json", {"state": "working", "sessionId": session, "note": CANARY, **begun})
    put(store, "jobs/j1/parent-transcript.jsonl", record(session))
    worker = {"pid": 999_985, "procStart": "238676", "sessionId": session, "intent": CANARY}
    roster = {"proto": 1, "supervisorPid": 999_986, "updatedAt": 1_759_300_000_000, "workers": {"95f10823": worker}}
    put(store, "daemon/roster.json", roster)
    members = [{"agentId": "mate@t", "name": "mate", "prompt": CANARY, "cwd": "/x"}]
    team = {"name": "demo", "createdAt": 1_759_300_000_000, "leadSessionId": session, "members": members}
    put(store, "teams/demo/config.json", team)
    put(store, "plans/x.md")
    # Cowork, with a store of its own a folder deeper than the desktop application's index.
    cowork = desktop / "local-agent-mode-sessions/11111111-1111-4111-8111-111111111111"
    cowork = cowork / "22222222-2222-4222-8222-222222222222"
    for folder, kind, number in ((cowork, "local_", 2), (cowork / "agent", "local_ditto_", 3)):
        other = ID.format(number)
        index = {"sessionId": kind + other, "cliSessionId": other, "title": CANARY, "cwd": "/x"}
        put(folder, f"{kind}{other}.json", index)
        put(folder, f"{kind}{other}/.claude/projects/-x/{other}.jsonl", record(other, entrypoint="local-agent"))
        for name in ("audit.jsonl", "uploads/a.pdf", "outputs/b.txt"):
            put(folder, f"{kind}{other}/{name}")
