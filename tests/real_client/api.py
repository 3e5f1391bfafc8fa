"""A stand-in for the service a client talks to, on the loopback address: enough for it to hold a conversation.

    api.py PORT_FILE

Each answer is a fixed text. Where the newest message of the user names tools as a JSON list after `CALL:`, the answers
use them:  CALL:[["Bash", {"command": "seq 1 9"}]]. A `null` in the list begins the next answer, and the file
`{PLAN}` is the one that the client gave for the plan.
"""

import http.server
import itertools
import json
import os
import re
import sys

numbers = itertools.count(1)


def parts_of(message):
    parts = message["content"]
    return [{"type": "text", "text": parts}] if isinstance(parts, str) else parts


def asked_of(request):
    """The tools of the newest message that names some, answer by answer, and how many answers it has had."""
    answers = 0
    for message in reversed(request.get("messages", [])):
        if message.get("role") == "assistant":
            answers += 1
        if message.get("role") != "user":
            continue
        texts = [part.get("text", "") for part in parts_of(message)]
        asked = next((text for text in reversed(texts) if "CALL:" in text), None)
        if asked:
            calls, _ = json.JSONDecoder().raw_decode(asked.partition("CALL:")[2])
            groups = [list(group) for known, group in itertools.groupby(calls, bool) if known]
            return groups, answers
        # Reminders of the client's own come between a tool's result and the answer.
        if any(text.strip() and not text.lstrip().startswith("<") for text in texts):
            break
    return [], 0


def answer_to(request):
    """The content blocks that answer a request."""
    blocks = [{"type": "text", "text": "An answer."}]
    known = {tool.get("name") for tool in request.get("tools") or []}
    groups, answers = asked_of(request)
    if "ToolSearch" not in known:
        groups = [group for group in groups if group[0][0] != "ToolSearch"]
    calls = groups[answers] if answers < len(groups) else []
    text = json.dumps(request.get("messages", [])) + json.dumps(request.get("system", ""))
    plan = re.findall(r'/[^"\\\s`]*/plans/[^"\\\s`]*\.md', text)
    # A tool that was searched for need not be in the list of tools.
    for name, value in itertools.chain.from_iterable(groups):
        if name == "ToolSearch" and "ToolSearch" in known:
            known.update(value["query"].removeprefix("select:").split(","))
    for name, value in calls:
        if name in known:
            if value.get("file_path") == "{PLAN}":
                if not plan:
                    continue
                value = {**value, "file_path": plan[-1]}
            blocks.append({"type": "tool_use", "id": f"toolu_{next(numbers):06}", "name": name, "input": value})
    return blocks, "tool_use" if len(blocks) > 1 else "end_turn"


def events_of(message, blocks, reason):
    """The same message as a stream of events."""
    yield "message_start", {"message": {**message, "content": [], "stop_reason": None}}
    for index, block in enumerate(blocks):
        if block["type"] == "text":
            start, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": block["text"]}
        else:
            start = {**block, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        yield "content_block_start", {"index": index, "content_block": start}
        yield "content_block_delta", {"index": index, "delta": delta}
        yield "content_block_stop", {"index": index}
    yield "message_delta", {"delta": {"stop_reason": reason, "stop_sequence": None}, "usage": {"output_tokens": 2}}
    yield "message_stop", {}


class Service(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def say(self, status, kind, body):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.say(404, "application/json", b'{"type": "error", "error": {"type": "not_found_error", "message": "none"}}')

    do_HEAD = do_GET

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
        path = self.path.split("?")[0]
        if path.endswith("/count_tokens"):
            return self.say(200, "application/json", b'{"input_tokens": 9}')
        if not path.endswith("/messages"):
            return self.do_GET()
        blocks, reason = answer_to(request)
        usage = {"input_tokens": 1, "output_tokens": 2, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
        message = {
            "id": f"msg_{next(numbers):06}",
            "type": "message",
            "role": "assistant",
            "model": request.get("model", "none"),
            "content": blocks,
            "stop_reason": reason,
            "stop_sequence": None,
            "usage": usage,
        }
        if not request.get("stream"):
            return self.say(200, "application/json", json.dumps(message).encode())
        text = "".join(
            f"event: {kind}\ndata: {json.dumps({'type': kind, **body})}\n\n"
            for kind, body in events_of(message, blocks, reason)
        )
        return self.say(200, "text/event-stream", text.encode())


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
with open(sys.argv[1] + ".new", "w", encoding="ascii") as file:
    file.write(str(server.server_address[1]))
os.rename(sys.argv[1] + ".new", sys.argv[1])
server.serve_forever()
