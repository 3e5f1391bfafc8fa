"""A stand-in for the service a client talks to, on the loopback address: enough for it to hold a conversation.

    api.py PORT_FILE

Each answer is a fixed text. Where the newest message of the user names tools as a JSON list after `CALL:`, the first
answer uses them:  CALL:[["Bash", {"command": "seq 1 9"}]]
"""

import http.server
import itertools
import json
import os
import sys

numbers = itertools.count(1)


def answer_to(request):
    """The content blocks that answer a request."""
    blocks = [{"type": "text", "text": "An answer."}]
    newest = next((m for m in reversed(request.get("messages", [])) if m.get("role") == "user"), {"content": ""})
    parts = newest["content"]
    if isinstance(parts, str):
        parts = [{"type": "text", "text": parts}]
    if any(part.get("type") == "tool_result" for part in parts):
        return blocks, "end_turn"
    known = {tool.get("name") for tool in request.get("tools") or []}
    calls = []
    for part in parts:
        _, mark, rest = part.get("text", "").partition("CALL:")
        if mark:
            calls, _ = json.JSONDecoder().raw_decode(rest)
    calls = [(name, value) for name, value in calls if name in known]
    for name, value in calls:
        blocks.append({"type": "tool_use", "id": f"toolu_{next(numbers):06}", "name": name, "input": value})
    return blocks, "tool_use" if calls else "end_turn"


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
