"""An engine that only speaks: `bare_stream.py PORT SECONDS` streams as many tokens as asked, one every SECONDS.

It has the shape of the OpenAI API and no model, so that thousands of streams at once cost what is around an engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
BACKLOG = 4096


def chunk(value: object) -> bytes:
    """An event of a stream as a piece of the body."""
    event = b"data: " + (value if isinstance(value, bytes) else json.dumps(value).encode()) + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(event), event)


def token(text: str) -> bytes:
    """A piece of an answer."""
    return chunk({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})


class Engine:
    """`pause` are seconds before each token, whose text is `word`; none comes before `go` is set.

    `sent` counts bytes, `streams` those under way, `most` the most of them at once, `left` those whose client has gone.
    """

    def __init__(self, pause: float, word: str = "on") -> None:
        self.pause = pause
        self.sent = self.streams = self.most = self.left = 0
        self.go = asyncio.Event()
        self.go.set()
        self._token = token(word)

    async def serve(self, port: int) -> asyncio.Server:
        """Listen; with a port of 0 at a free one."""
        return await asyncio.start_server(self.answer, "127.0.0.1", port, backlog=BACKLOG)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request and its stream, until its client has gone."""
        self.streams += 1
        self.most = max(self.most, self.streams)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(each[15:]) for each in head.lower().split(b"\r\n") if each.startswith(b"content-length:"))
            asked = json.loads(await reader.readexactly(length))
            writer.write(HEAD)
            await self.go.wait()
            for _ in range(int(asked.get("max_tokens", 16))):
                await asyncio.sleep(self.pause)
                writer.write(self._token)
                self.sent += len(self._token)
                await writer.drain()
            writer.write(chunk({"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}))
            writer.write(chunk(b"[DONE]") + b"0\r\n\r\n")
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            self.left += 1
        finally:
            self.streams -= 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def _run(port: int, pause: float) -> None:
    server = await Engine(pause).serve(port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_run(int(sys.argv[1]), float(sys.argv[2])))
