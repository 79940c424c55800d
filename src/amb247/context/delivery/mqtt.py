"""Notifications over MQTT 3.1.1 and 5: one connection per broker and credentials, shared by its topics.

Paho runs each connection on a thread of its own; what it reports is handed to the engine's event loop. A connection that
ended is not mended but replaced: what was not acknowledged is sent again by the engine, which knows the order.

References
----------
ETSI GS CIM 009 v1.8.1, 7.2 (notification binding to MQTT), 5.2.22 (MQTT-Version, MQTT-QoS); OASIS MQTT 3.1.1 and 5.0.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from amb247.context.delivery.http import AddressClosed, resolve
from amb247.context.delivery.outcome import ACCEPTED, Outcome, trouble
from amb247.context.domain.endpoints import Address

CONNECT_S = 10.0
KEEP_ALIVE_S = 30
IDLE_S = 120.0

_connecting = ThreadPoolExecutor(max_workers=32, thread_name_prefix="notify-mqtt")


class _Client(paho.Client):
    """Connects to the address that was checked, while TLS still asks for the name."""

    checked_ips: list[str] = []

    def _create_socket_connection(self) -> socket.socket:
        problem: OSError = OSError("no address")
        for ip in self.checked_ips:
            try:
                return socket.create_connection((ip, self._port), timeout=CONNECT_S)
            except OSError as refused:
                problem = refused
        raise problem


class Broker:
    """One connection to one MQTT broker, made when it is needed."""

    def __init__(self, address: Address, version: str) -> None:
        self.address, self.version = address, version
        self.loop = asyncio.get_running_loop()
        self.client: _Client | None = None
        self.waiting: dict[int, asyncio.Future[Outcome]] = {}
        self.connecting = asyncio.Lock()
        self.used = self.loop.time()

    async def publish(self, topic: str, payload: bytes, qos: int, timeout_s: float) -> Outcome:
        """One attempt; accepted when the broker has acknowledged as its quality of service says."""
        self.used = self.loop.time()
        try:
            async with asyncio.timeout(timeout_s):
                client = await self._connected()
                info = client.publish(topic, payload, qos)
                if info.rc != paho.MQTT_ERR_SUCCESS:
                    self._drop(client)
                    return trouble(f"not published: {paho.error_string(info.rc)}")
                # The callback comes from another thread through the loop: it cannot overtake this line.
                answer: asyncio.Future[Outcome] = self.loop.create_future()
                self.waiting[info.mid] = answer
                try:
                    return await answer
                finally:
                    self.waiting.pop(info.mid, None)
        except TimeoutError:
            if self.client is not None:
                self._drop(self.client)
            return trouble(f"no acknowledgement within {timeout_s:g} s")
        except AddressClosed as problem:
            return Outcome("refused", str(problem))
        except (OSError, ValueError, ssl.SSLError) as problem:
            return trouble(problem)

    def tidy(self) -> None:
        if self.client is not None and self.used < self.loop.time() - IDLE_S:
            self._drop(self.client)

    async def close(self) -> None:
        if self.client is not None:
            await asyncio.wrap_future(self._drop(self.client))

    async def _connected(self) -> _Client:
        async with self.connecting:
            if self.client is None:
                connected: asyncio.Future[None] = self.loop.create_future()
                client = await self.loop.run_in_executor(_connecting, self._open, connected)
                try:
                    await connected
                except BaseException:
                    self._drop(client)
                    raise
                self.client = client
            return self.client

    def _open(self, connected: asyncio.Future[None]) -> _Client:
        """On a thread of the pool: resolve, check, connect."""
        is_new = self.version != "mqtt3.1.1"
        client = _Client(
            CallbackAPIVersion.VERSION2,
            protocol=MQTTProtocolVersion.MQTTv5 if is_new else MQTTProtocolVersion.MQTTv311,
            clean_session=None if is_new else True,
            reconnect_on_failure=False,
        )
        client.checked_ips = resolve(self.address)
        client.max_inflight_messages_set(0)
        if self.address.user is not None:
            client.username_pw_set(self.address.user, self.address.password)
        if self.address.is_secure:
            client.tls_set_context(ssl.create_default_context())

        def on_connect(_client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
            problem = OSError(f"the broker refused: {reason}") if reason.is_failure else None
            self._tell(_resolve_future, connected, problem)

        def on_publish(_client: Any, _data: Any, mid: int, reason: Any, _properties: Any) -> None:
            self._tell(self._published, mid, str(reason) if reason is not None and reason.is_failure else "")

        def on_disconnect(_client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
            self._tell(_resolve_future, connected, OSError(f"the broker ended the connection: {reason}"))
            self._tell(self._lost, client, f"the broker ended the connection: {reason}")

        client.on_connect = on_connect
        client.on_publish = on_publish
        client.on_disconnect = on_disconnect
        client.connect(self.address.host, self.address.port, keepalive=KEEP_ALIVE_S)
        client.loop_start()
        return client

    def _tell(self, function: Any, *arguments: Any) -> None:
        try:
            self.loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # the engine's loop has ended
            return

    def _published(self, mid: int, problem: str) -> None:
        answer = self.waiting.get(mid)
        if answer is not None and not answer.done():
            answer.set_result(Outcome("refused", f"the broker refused: {problem}") if problem else ACCEPTED)

    def _lost(self, client: _Client, problem: str) -> None:
        if client is self.client:
            self.client = None
            for answer in self.waiting.values():
                if not answer.done():
                    answer.set_result(trouble(problem))

    def _drop(self, client: _Client) -> Future[None]:
        """End a connection on a thread: paho waits for its own."""
        if client is self.client:
            self._lost(client, "the connection was given up")

        def end() -> None:
            client.disconnect()
            client.loop_stop()

        return _connecting.submit(end)


def _resolve_future(connected: asyncio.Future[None], problem: OSError | None) -> None:
    if not connected.done():
        if problem is None:
            connected.set_result(None)
        else:
            connected.set_exception(problem)
            connected.exception()  # looked at here: nobody may wait any more
