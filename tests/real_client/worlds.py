"""Worlds that a client makes when it is put to work: prompts, tools, agents, an interactive session, logs.

Each function gets a `World` (see learn) and runs the client in it. The canary stands in whatever a user says,
pastes, reads or writes, so that a search tells where any of it is left.
"""

import hashlib
import json
import time

CANARY = "canary7q"
ID = "{:08d}-1111-4222-8333-444444444444"
ENTER = [1.2, "\r"]
PASTED = "\x1b[200~{}\x1b[201~"


def call(*tools):
    """What makes the stand-in for the service answer with these tools."""
    return "CALL:" + json.dumps(list(tools))


def typed(*lines, wait=4):
    """A script that types each line and waits a while after it."""
    steps = [[6, ""]]
    for line in lines:
        steps += [[1, line], ENTER, [wait, ""]]
    return steps + [[1, "/exit"], ENTER, [3, "\r"], [2, "\r"]]


def prompt(world):
    """One prompt, and one more in the same session."""
    world.client("-p", f"{CANARY} hello", "-n", f"{CANARY} name")
    world.client("-p", f"{CANARY} more", "--continue")


def tools(world):
    """Tools that keep something: large output, edits, agents, tasks, a command in the background."""
    file = world.project / "mine.txt"
    file.write_text(f"{CANARY} before\n")
    calls = call(
        ["Bash", {"command": f"seq -f '{CANARY} %g' 1 20000", "description": "count"}],
        ["Bash", {"command": f"echo {CANARY}; sleep 1", "description": "later", "run_in_background": True}],
        ["Read", {"file_path": str(file)}],
        ["Edit", {"file_path": str(file), "old_string": "before", "new_string": "after"}],
        ["Write", {"file_path": str(world.project / "new.txt"), "content": CANARY}],
        ["TodoWrite", {"todos": [{"content": CANARY, "status": "pending", "activeForm": CANARY}]}],
        ["TaskCreate", {"subject": CANARY, "description": CANARY}],
        ["Task", {"description": CANARY, "prompt": CANARY, "subagent_type": "general-purpose"}],
        ["Agent", {"description": CANARY, "prompt": CANARY, "subagent_type": "general-purpose"}],
    )
    allowed = "Bash,Read,Edit,Write,TodoWrite,TaskCreate,Task,Agent"
    world.client("-p", f"{CANARY} {calls}", "--allowedTools", allowed, "--debug")


def workflow(world):
    """Agents of a workflow, whose transcripts lie a folder deeper."""
    script = (
        f"export const meta = {{name: 'w', description: '{CANARY}', phases: [{{title: 'A'}}]}}\n"
        f"const r = await agent('{CANARY} within', {{label: 'a', phase: 'A'}})\nreturn {{r}}"
    )
    arguments = ["-p", f"{CANARY} {call(['Workflow', {'script': script}])}", "--dangerously-skip-permissions"]
    world.client(*arguments, env={"IS_SANDBOX": "1"})


def interactive(world):
    """An interactive session: edits, a long paste, a shell line, a title, an export, /compact, /copy."""
    file = world.project / "mine.txt"
    file.write_text(f"{CANARY} before\n")
    edit = call(
        ["Read", {"file_path": str(file)}],
        ["Edit", {"file_path": str(file), "old_string": "before", "new_string": "after"}],
    )
    paste = PASTED.format("".join(f"{CANARY} pasted line {n}\r" for n in range(60)))
    script = typed(
        f"{CANARY} {edit}",
        f"! echo {CANARY}",
        f"/rename {CANARY} title",
        f"/compact {CANARY} keep",
        "/copy",
    )
    script[-4:-4] = [[1, paste], [2, " look"], ENTER, [4, ""]]
    world.type(script)


def branches(world):
    """A conversation that is branched, and forked into a job."""
    world.type(typed(f"{CANARY} first", f"/branch {CANARY}", f"/fork {CANARY} fork this", f"/btw {CANARY}"))


def agents(world):
    """The list of background agents, left with a prompt that was not sent."""
    world.type([[8, f"{CANARY} unsent"], [3, "\x03"], [1, "\x03"], [1, "\x03"]], "agents")


def plan(world):
    """Plan mode, whose file is named after the prompt."""
    world.settings({"permissions": {"defaultMode": "plan"}})
    world.type(typed(f"{CANARY} plan it {call(['ExitPlanMode', {'plan': CANARY + ' text'}])}", "", wait=5))


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


def cleanup(world):
    """A transcript that grows until the client rewrites it, and keeps what it was."""
    say = lambda text: json.dumps({"type": "user", "message": {"role": "user", "content": text}})
    long = [say(f"{CANARY} {n} " + f"word{n} " * 130_000) for n in range(8)]
    rest = [say(text) for text in ("/compact", "after", "/compact", "after again")]
    formats = ["--input-format", "stream-json", "--output-format", "stream-json", "--verbose"]
    environment = {"CLAUDE_CODE_TRANSCRIPT_LOCAL_GC": "keep"}
    world.client("-p", *formats, env=environment, said="\n".join(long + rest) + "\n", limit=150)


def scratchpad(world):
    """The scratchpad under a short name, which a flag of the service turns on."""
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
        }
    )
    world.settings({"permissions": {"defaultMode": "acceptEdits", "allow": ["Write"]}})
    file = world.temp / f"claude-{world.uid}/s/{digits:012d}/scratchpad/note.txt"
    write = call(["Write", {"file_path": str(file), "content": CANARY}])
    # Flags count only where the client may speak to the service, which there is none of here.
    speaks = ["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "DISABLE_TELEMETRY", "DISABLE_ERROR_REPORTING"]
    world.type(typed(f"{CANARY} {write}"), "--session-id", session, env=dict.fromkeys(speaks, ""))


ALL = [prompt, tools, workflow, interactive, branches, agents, plan, server, cleanup, scratchpad]
