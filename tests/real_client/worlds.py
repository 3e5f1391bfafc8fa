"""Worlds that a client makes when it is put to work: prompts, tools, agents, an interactive session, logs.

Each function gets a `World` (see lab.py) and runs the client in it. What it is for is said with it: patterns of files,
each with the first client that writes it, and the last of those that are tried, so that a world which makes nothing is
noticed.
"""

import hashlib
import json
import struct
import subprocess
import time
import zlib

from lab import CANARY

ID = "{:08d}-1111-4222-8333-444444444444"
ENTER = [1.2, "\r"]
PASTED = "\x1b[200~{}\x1b[201~"
STORE = "home/.claude"
SESSION = f"{STORE}/projects/*/*-*-*-*-*"
TEMP = "tmp/claude-*"
ALL = []


def world(*makes):
    """A world, and what it must make: (pattern, first client[, last one])."""

    def add(make):
        make.makes = makes
        ALL.append(make)
        return make

    return add


def call(*tools):
    """What makes the stand-in for the service answer with these tools; `None` begins the next answer."""
    return "CALL:" + json.dumps(list(tools))


def typed(*lines, wait=4):
    """A script that types each line and waits a while after it."""
    steps = [[12, ""]]
    for line in lines:
        # Older clients take an Enter right after a long line for a part of it.
        steps += [[1, line], ENTER, ENTER, [wait, ""]]
    return steps + [[1, "/exit"], ENTER, [3, "\r"], [2, "\r"]]


def allow(world, **more):
    """Settings under which tools run without a question."""
    allowed = ["Bash", "Edit", "Write", "Read", "Agent", "Task", "SendMessage", "TaskCreate", "CronCreate"]
    world.settings({"permissions": {"allow": allowed, "defaultMode": "acceptEdits"}, **more})


def repository(world):
    identity = ["-c", "user.email=a@b", "-c", "user.name=n", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], [*identity, "commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run(["git", "-C", world.project, *command], check=True)


def picture():
    """A small picture that has the canary in a comment."""
    chunk = lambda kind, data: (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    )
    rows = b"".join(b"\0" + b"\xff\0\0" * 32 for _ in range(32))
    comment = chunk(b"tEXt", b"Comment\0" + CANARY.encode())
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + comment + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@world((f"{SESSION}.jsonl", "2.0.30"))
def prompt(world):
    """One prompt, and one more in the same session."""
    world.client("-p", f"{CANARY} hello", "-n", f"{CANARY} name")
    world.client("-p", f"{CANARY} more", "--continue")


@world(
    (f"{STORE}/debug/*.txt", "2.0.30"),
    (f"{SESSION}/tool-results/*", "2.1.50"),
    (f"{TEMP}/*/tasks/*.output", "2.1.50"),
    (f"{STORE}/todos/*.json", "2.0.30", "2.1.50"),
)
def tools(world):
    """Tools that keep something: large output, edits, tasks, a command in the background."""
    file = world.project / "mine.txt"
    file.write_text(f"{CANARY} before\n")
    calls = call(
        ["Bash", {"command": f"seq -f '{CANARY} %g' 1 20000", "description": "count"}],
        ["Bash", {"command": f"echo {CANARY}; sleep 1", "description": "later", "run_in_background": True}],
        ["Read", {"file_path": str(file)}],
        ["Edit", {"file_path": str(file), "old_string": "before", "new_string": "after"}],
        ["Write", {"file_path": str(world.project / "new.txt"), "content": CANARY}],
        ["TodoWrite", {"todos": [{"content": CANARY, "status": "pending", "activeForm": CANARY}]}],
        ["ToolSearch", {"query": "select:TaskCreate"}],
        None,
        ["TaskCreate", {"subject": CANARY, "description": CANARY}],
    )
    allowed = "Bash,Read,Edit,Write,TodoWrite,TaskCreate"
    world.client("-p", f"{CANARY} {calls}", "--allowedTools", allowed, "--debug")


@world(
    (f"{SESSION}/subagents/agent-*.jsonl", "2.1.50"),
    (f"{SESSION}/subagents/agent-*.meta.json", "2.1.330"),
    (f"{STORE}/projects/*/agent-*.jsonl", "2.0.30", "2.0.30"),
)
def agents(world):
    """Agents of a conversation, which use tools of their own; one that works in the background."""
    file = world.project / "mine.txt"
    file.write_text(f"{CANARY} read by an agent\n")
    inner = f"{CANARY} within {call(['Read', {'file_path': str(file)}])}"
    agent = {"description": CANARY, "prompt": inner, "subagent_type": "general-purpose"}
    later = {**agent, "run_in_background": True}
    calls = call(["Task", agent], ["Agent", agent], ["Agent", later])
    world.client("-p", f"{CANARY} {calls}", "--allowedTools", "Task,Agent,Read")


@world((f"{SESSION}/subagents/workflows/wf_*/agent-*.jsonl", "2.1.330"))
def workflow(world):
    """Agents of a workflow, whose transcripts lie a folder deeper."""
    script = (
        f"export const meta = {{name: 'w', description: '{CANARY}', phases: [{{title: 'A'}}]}}\n"
        f"const r = await agent('{CANARY} within', {{label: 'a', phase: 'A'}})\nreturn {{r}}"
    )
    arguments = ["-p", f"{CANARY} {call(['Workflow', {'script': script}])}", "--dangerously-skip-permissions"]
    world.client(*arguments, env={"IS_SANDBOX": "1"})


@world(
    (f"{STORE}/history.jsonl", "2.0.30"),
    (f"{STORE}/file-history/*/*", "2.0.30"),
    (f"{STORE}/paste-cache/*.txt", "2.1.50"),
    (f"{TEMP}/response.md", "2.1.330"),
    (f"{TEMP}/*/*/images/*", "2.1.330"),
)
def interactive(world):
    """An interactive session: edits, a long paste, a picture, a shell line, a title, an export, /compact, /copy."""
    file = world.project / "mine.txt"
    file.write_text(f"{CANARY} before\n")
    image = world.project / f"{CANARY}.png"
    image.write_bytes(picture())
    edit = call(
        ["Read", {"file_path": str(file)}],
        None,
        ["Edit", {"file_path": str(file), "old_string": "before", "new_string": "after"}],
    )
    allow(world)
    script = typed(
        f"{CANARY} {edit}",
        f"! echo {CANARY}",
        f"/rename {CANARY} title",
        f"/export {CANARY}.txt",
        f"/compact {CANARY} keep",
        "/copy",
    )
    paste = PASTED.format("".join(f"{CANARY} pasted line {n}\r" for n in range(60)))
    script[-4:-4] = [[1, paste], [2, " look"], ENTER, [4, ""]]
    script[-4:-4] = [[1, PASTED.format(image)], [3, f" {CANARY} see"], ENTER, [4, ""]]
    world.type(script)


@world(
    (f"{STORE}/jobs/*/state.json", "2.1.330"),
    (f"{STORE}/jobs/*/parent-transcript.jsonl", "2.1.330"),
    (f"{STORE}/daemon/roster.json", "2.1.330"),
)
def branches(world):
    """A conversation that is branched, and forked into a job."""
    repository(world)
    allow(world)
    world.type(typed(f"{CANARY} first", f"/branch {CANARY}", f"/fork {CANARY} fork this", f"/btw {CANARY}"))


@world((f"{STORE}/jobs/.draft-*", "2.1.330"))
def drafts(world):
    """The list of background agents, left with a prompt that was not sent."""
    world.client("-p", f"{CANARY} hello")
    # The terminal goes away, as when its window is closed.
    world.type([[12, f"{CANARY} unsent"], [4, ""], "hangup"], "agents")


@world((f"{STORE}/plans/*.md", "2.1.50"), (f"{STORE}/plans/{CANARY}*.md", "2.1.330"))
def plan(world):
    """Plan mode: the file that newer clients name after the prompt, and the records that name it."""
    allowed = ["Write", "Agent", "Task"]
    world.settings({"permissions": {"defaultMode": "plan", "allow": allowed, "disableAutoMode": "disable"}})
    write = ["Write", {"file_path": "{PLAN}", "content": f"{CANARY} planned\n"}]
    agent = {"description": CANARY, "prompt": f"{CANARY} {call(write)}", "subagent_type": "general-purpose"}
    calls = [write, None, ["Agent", agent], ["Task", agent], None, ["ToolSearch", {"query": "select:ExitPlanMode"}]]
    leave = ["ExitPlanMode", {"plan": f"{CANARY} text"}]
    world.type(typed(f"{CANARY} plan it {call(*calls, None, leave)}", "", "/plan", wait=6))


@world(("home/.cache/claude-cli-nodejs/*/mcp-logs-can/*", "2.0.30"))
def server(world):
    """An MCP server that complains, whose words are logged."""
    program = world.project / "server.py"
    program.write_text(
        "import json, sys\n"
        f"print('{CANARY} complains', file=sys.stderr, flush=True)\n"
        "for line in sys.stdin:\n"
        "    asked = json.loads(line)\n"
        "    if asked.get('method') == 'initialize':\n"
        "        result = {'protocolVersion': asked['params']['protocolVersion'], 'capabilities': {'tools': {}},\n"
        "                  'serverInfo': {'name': 'can', 'version': '1'}}\n"
        "    elif asked.get('method') == 'tools/list':\n"
        "        result = {'tools': []}\n"
        "    else:\n"
        "        continue\n"
        "    print(json.dumps({'jsonrpc': '2.0', 'id': asked['id'], 'result': result}), flush=True)\n"
    )
    servers = {"mcpServers": {"can": {"command": "python3", "args": ["-B", str(program)]}}}
    config = world.project / "servers.json"
    config.write_text(json.dumps(servers))
    world.client("-p", f"{CANARY} ask", "--mcp-config", str(config), "--debug")


@world((f"{SESSION}/before-cleanup/*.replaced", "2.1.332"))
def cleanup(world):
    """A transcript that grows until the client rewrites it, and keeps what it was."""
    say = lambda text: json.dumps({"type": "user", "message": {"role": "user", "content": text}})
    long = [say(f"{CANARY} {n} " + f"word{n} " * 130_000) for n in range(8)]
    rest = [say(text) for text in ("/compact", "after", "/compact", "after again")]
    formats = ["--input-format", "stream-json", "--output-format", "stream-json", "--verbose"]
    environment = {"CLAUDE_CODE_TRANSCRIPT_LOCAL_GC": "keep"}
    world.client("-p", *formats, env=environment, said="\n".join(long + rest) + "\n", limit=300)


@world((f"{TEMP}/s/*/scratchpad/*", "2.1.332"), (f"{TEMP}/*/scratchpad/*", "2.1.330"))
def scratchpad(world):
    """The scratchpad, which a flag of the service turns on; newer clients give it a short name."""
    session = ID.format(7)
    digits = int.from_bytes(hashlib.sha256(session.encode()).digest()[:8], "big") % 10**12
    flags = {"tengu_rosy_mitten": "on", "tengu_scratch": True}
    now = int(time.time() * 1000)
    world.trust(
        {
            "cachedFeatureFlags": flags,
            "cachedFeatureFlagsAt": now,
            "cachedGrowthBookFeatures": flags,
            "cachedGrowthBookFeaturesAt": now,
            "cachedStatsigGates": {"tengu_scratch": True},
        }
    )
    allow(world)
    tree = world.temp / f"claude-{world.uid}"
    long = tree / "".join(c if c.isalnum() else "-" for c in str(world.project)) / session
    folder = tree / f"s/{digits:012d}" if world.version >= (2, 1, 332) else long
    write = call(["Write", {"file_path": str(folder / "scratchpad/note.txt"), "content": CANARY}])
    # Flags count only where the client may speak to the service, which there is none of here.
    speaks = ["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "DISABLE_TELEMETRY", "DISABLE_ERROR_REPORTING"]
    world.type(typed(f"{CANARY} {write}"), "--session-id", session, env=dict.fromkeys(speaks, ""))


@world((f"{STORE}/teams/*/config.json", "2.1.330"), (f"{STORE}/teams/*/inboxes/*", "2.1.330"))
def teams(world):
    """A team of agents that send each other messages, and a prompt that is to run at a time."""
    allow(world, teammateMode="in-process")
    calls = call(
        ["Agent", {"description": CANARY, "prompt": CANARY, "subagent_type": "general-purpose", "name": "mate"}],
        ["ToolSearch", {"query": "select:SendMessage,TaskCreate,CronCreate"}],
        None,
        ["SendMessage", {"to": "mate", "message": CANARY, "summary": CANARY}],
        ["TaskCreate", {"subject": CANARY, "description": CANARY}],
        ["CronCreate", {"cron": "*/5 * * * *", "prompt": CANARY, "recurring": True, "durable": True}],
    )
    # A team is gone with its leader, unless that is killed.
    script = typed(f"{CANARY} {calls}", wait=15)
    if world.is_between("2.1.330"):
        script[-4:] = ["kill"]
    world.type(script, env={"CLAUDE_CODE_EXPERIMENTAL_AGENT_TEAMS": "1"})


@world((f"{STORE}/debug/*.1.txt", "2.1.332"))
def rotated(world):
    """A debug log that grows over its bound: a server and hooks that say much."""
    server = world.project / "loud.py"
    server.write_text(
        "import json, sys\n"
        f"for n in range(60000): print('{CANARY}', n, 'y' * 200, file=sys.stderr)\n"
        "for line in sys.stdin:\n"
        "    asked = json.loads(line)\n"
        "    if 'id' in asked:\n"
        "        result = {'protocolVersion': asked.get('params', {}).get('protocolVersion'), 'tools': [],\n"
        "                  'capabilities': {'tools': {}}, 'serverInfo': {'name': 'can', 'version': '1'}}\n"
        "        print(json.dumps({'jsonrpc': '2.0', 'id': asked['id'], 'result': result}), flush=True)\n"
    )
    hook = world.project / "hook.sh"
    hook.write_text(f"#!/bin/sh\nfor n in $(seq 1 3000); do echo {CANARY} $n {'y' * 150} >&2; done\n")
    hook.chmod(0o755)
    hooks = {"PreToolUse": [{"hooks": [{"type": "command", "command": str(hook)}]}]}
    world.settings({"hooks": hooks})
    config = world.project / "servers.json"
    config.write_text(json.dumps({"mcpServers": {"can": {"command": "python3", "args": ["-B", str(server)]}}}))
    bash = lambda n: ["Bash", {"command": f"seq {n} 20000", "description": "count"}]
    calls = [step for n in range(1, 41) for step in ([bash(n)] if n % 5 else [bash(n), None])]
    arguments = ["-p", f"{CANARY} {call(*calls)}", "--allowedTools", "Bash", "--debug", "--mcp-config", str(config)]
    world.client(*arguments, limit=400)
