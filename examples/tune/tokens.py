"""Tokens as the engine that will serve the model makes them: its own tokenizer, and the chat template of the file."""

import contextlib
import http.client
import json
import socket
import tempfile


class Tokens:
    """llama.cpp with the model at a socket that only this process knows."""

    def __init__(self, model):
        from xllamacpp import CommonParams, Server

        self._directory = tempfile.TemporaryDirectory()
        self._socket = f"{self._directory.name}/engine.sock"  # it knows sockets by this ending
        params = CommonParams()
        params.model.path = model
        params.hostnames = [self._socket]
        params.n_ctx, params.n_parallel, params.n_predict = 64, 1, 1
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
        params.fit_params = params.ui = params.warmup = False
        params.verbosity = 0
        self._server = Server(params)

    def prompt(self, messages):
        """The tokens of a conversation, up to where the answer begins."""
        text = self._ask("/apply-template", {"messages": messages})["prompt"]
        return self._ask("/tokenize", {"content": text, "add_special": True, "parse_special": True})["tokens"]

    def answer(self, text):
        return self._ask("/tokenize", {"content": text})["tokens"]

    def _ask(self, path, body):
        with contextlib.closing(http.client.HTTPConnection("engine", timeout=60)) as connection:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(60)
            connection.sock.connect(self._socket)
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            told = response.read()
        if response.status != 200:
            raise SystemExit(f"llama.cpp answers {path} with {response.status}: {told[:300]!r}")
        return json.loads(told)
