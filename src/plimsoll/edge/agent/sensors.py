"""Readings that come by MQTT: each is answered by a service of the device, and the answer goes to another topic.

A reading is acknowledged when its answer is with the broker, so that readings that came while the agent was down are
answered later. Readings that nobody has time for are dropped, the oldest or the newest first, and counted.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from plimsoll.edge.documents import Subscription
from plimsoll.edge.readings import BadReading, request_of
from plimsoll.errors import MissingExtra, RequestError
from plimsoll.runtime import client

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessage

MOST_WAITING = 1000
"""Readings that wait for the service; with `order: newest` one for each topic."""
USER_VARIABLE, PASSWORD_VARIABLE = "PLIMSOLL_MQTT_USER", "PLIMSOLL_MQTT_PASSWORD"
"""The device's login at the broker: a state is read by many, and has no secrets."""
_PLAIN, _TLS = 1883, 8883
_KEEP_ALIVE = 30
_ANSWER_LIMIT = 30.0


class Sensors:
    """One subscription. `url` gives the address of its service, empty while it is down."""

    def __init__(
        self,
        device: str,
        service: str,
        model: str,
        wanted: Subscription,
        url: Callable[[], str],
        say: Callable[[str], None],
    ) -> None:
        try:
            from paho.mqtt.client import Client, MQTTv311
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError:
            raise MissingExtra("edge", "readings by MQTT") from None
        self.wanted = wanted
        self.answered = self.dropped = self.refused = 0
        self._service = service
        self._model = model
        self._url = url
        self._say = say
        self._waiting: deque[MQTTMessage] = deque()
        self._changed = threading.Condition()
        self._ending = False
        self._inputs: list[dict[str, object]] | None = None
        self._told = ""
        self._client: Client = Client(
            CallbackAPIVersion.VERSION2,
            # The broker keeps what comes while this device is away, by this name.
            client_id=f"plimsoll-{device}-{service}",
            clean_session=False,
            protocol=MQTTv311,
            manual_ack=True,
        )
        self._client.on_connect = self._connected
        self._client.on_message = self._arrived
        self._client.on_socket_open = send_at_once
        self._thread = threading.Thread(target=self._answer_all, name=f"sensors-{service}", daemon=True)

    def start(self) -> None:
        """Connect in the background, again and again; a broker that is away is told once."""
        address = urlsplit(self.wanted.mqtt)
        tls = address.scheme == "mqtts"
        if tls:
            self._client.tls_set()
        if user := os.environ.get(USER_VARIABLE):
            self._client.username_pw_set(user, os.environ.get(PASSWORD_VARIABLE))
        self._client.reconnect_delay_set(1, 30)
        self._client.connect_async(address.hostname or "", address.port or (_TLS if tls else _PLAIN), _KEEP_ALIVE)
        self._client.loop_start()
        self._thread.start()

    def model_changed(self, model: str) -> None:
        """Another version answers from now on."""
        self._model, self._inputs = model, None

    def stop(self) -> None:
        """Disconnect; what waits is not acknowledged, and comes again."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        self._thread.join(_ANSWER_LIMIT)
        self._client.disconnect()
        self._client.loop_stop()

    def _connected(self, connection: Client, _data: object, _flags: object, reason: object, _more: object) -> None:
        if getattr(reason, "is_failure", False):
            self._tell(f"the broker refuses the device: {reason}")
            return
        connection.subscribe(self.wanted.topic, qos=1)
        self._tell(f"service {self._service} listens to {self.wanted.topic} at {self.wanted.mqtt}")

    def _arrived(self, _connection: Client, _data: object, message: MQTTMessage) -> None:
        with self._changed:
            if self.wanted.newest:
                for older in [each for each in self._waiting if each.topic == message.topic]:
                    self._drop(older)
            if len(self._waiting) >= MOST_WAITING:
                self._drop(self._waiting[0])
            self._waiting.append(message)
            self._changed.notify()

    def _drop(self, message: MQTTMessage) -> None:
        self._waiting.remove(message)
        self.dropped += 1
        self._client.ack(message.mid, message.qos)

    def _next(self) -> MQTTMessage | None:
        with self._changed:
            self._changed.wait_for(lambda: self._ending or self._waiting)
            return None if self._ending else self._waiting.popleft()

    def _answer_all(self) -> None:
        while (message := self._next()) is not None:
            while not self._ending and not self._answer(message):
                # The service is down, or starts: this reading is the next one again.
                with self._changed:
                    self._changed.wait_for(lambda: self._ending, timeout=0.5)

    def _answer(self, message: MQTTMessage) -> bool:
        """Answer one reading; False when it has to wait for the service."""
        url = self._url()
        if not url:
            return False
        try:
            answer = self._ask(url, message)
            self.answered += 1
        except (BadReading, client.RequestRefused) as error:
            self.refused += 1
            answer = {"error": str(error)}
        except RequestError as error:
            self._tell(f"service {self._service}: {error.message}")
            return False
        if self.wanted.answer:
            topic = self.wanted.answer.replace("{topic}", message.topic)
            with contextlib.suppress(ValueError, RuntimeError):
                self._client.publish(topic, msgspec.json.encode(answer), qos=1)
        self._client.ack(message.mid, message.qos)
        return True

    def _ask(self, url: str, message: MQTTMessage) -> dict[str, object]:
        if self._inputs is None:
            self._inputs = client.metadata(url, self._model, limit=_ANSWER_LIMIT)["inputs"]
        request = request_of(bytes(message.payload), self._inputs)
        return client.infer(url, self._model, request, limit=_ANSWER_LIMIT)

    def _tell(self, problem: str) -> None:
        if problem != self._told:
            self._told = problem
            self._say(problem)


def send_at_once(_client: object, _data: object, opened: object) -> None:
    """Small packets go out as they come: the kernel would keep each for 40 ms, for another to go with it."""
    if isinstance(opened, socket.socket):
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
