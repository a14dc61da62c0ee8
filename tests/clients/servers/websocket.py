"""A WebSocket (RFC 6455) on which one message is sent."""

from websockets.http11 import Request
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from holdfast.lab.server import ServerStream


async def websocket(stream: ServerStream) -> None:
    """Open it, send the message and stay until the client closes."""
    protocol = ServerProtocol()
    while protocol.state is not protocol.state.CLOSED:
        data = await stream.read()
        if data:
            protocol.receive_data(data)
        else:
            protocol.receive_eof()
        for event in protocol.events_received():
            if isinstance(event, Request):
                protocol.send_response(protocol.accept(event))
                if protocol.state is OPEN:
                    protocol.send_text(b"hello from the lab")
        for part in protocol.data_to_send():
            if not part:
                return
            await stream.write(part)
