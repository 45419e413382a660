"""A model server for an endpoint picker: OpenAI completions, and vLLM metrics with a queue length that PUT sets."""

from __future__ import annotations

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

waiting = 0


class Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/metrics":
            # A picker ignores a gauge without a type.
            lines = (
                "# TYPE vllm:num_requests_waiting gauge",
                f'vllm:num_requests_waiting{{model_name="toy"}} {waiting}',
                "# TYPE vllm:kv_cache_usage_perc gauge",
                'vllm:kv_cache_usage_perc{model_name="toy"} 0',
                "# TYPE vllm:lora_requests_info gauge",
                'vllm:lora_requests_info{max_lora="0",running_lora_adapters="",waiting_lora_adapters=""} 1',
            )
            self.answer("\n".join(lines) + "\n", "text/plain; version=0.0.4")
        else:
            self.answer(json.dumps({"object": "list", "data": [{"id": "toy", "object": "model"}]}))

    def do_POST(self) -> None:
        asked = json.loads(self.body())
        choice = {"index": 0, "text": f"{os.environ['HOSTNAME']} heard {asked['prompt']}", "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        self.answer(json.dumps({"object": "text_completion", "model": "toy", "choices": [choice], "usage": usage}))

    def do_PUT(self) -> None:
        global waiting  # noqa: PLW0603  # the only state of this server
        waiting = int(self.body())
        self.answer("")

    def body(self) -> bytes:
        """The request body. After a picker it is chunked, as the picker may have changed its length."""
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"]))
        whole = b""
        while size := int(self.rfile.readline(), 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return whole

    def answer(self, body: str, kind: str = "application/json") -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Logs nothing, as a picker reads the metrics twenty times a second."""


ThreadingHTTPServer(("", 8000), Server).serve_forever()
