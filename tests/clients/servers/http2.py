"""HTTP/2 (RFC 9113), and gRPC on it."""

import h2.config
import h2.connection
import h2.events

from holdfast.lab.server import Dialogue, ServerStream


def http2(
    body: bytes = b"hello from the lab\n",
    *,
    content_type: str = "text/plain",
    trailers: tuple[tuple[str, str], ...] = (),
) -> Dialogue:
    """Answer each request with 200 and this body."""

    async def talk(stream: ServerStream) -> None:
        http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        http.initiate_connection()
        await stream.write(http.data_to_send())
        while data := await stream.read():
            for event in http.receive_data(data):
                if isinstance(event, h2.events.StreamEnded):
                    head = [(":status", "200"), ("content-type", content_type)]
                    http.send_headers(event.stream_id, head)
                    http.send_data(event.stream_id, body, end_stream=not trailers)
                    if trailers:
                        http.send_headers(event.stream_id, trailers, end_stream=True)
            await stream.write(http.data_to_send())

    return talk


# One message: a HealthCheckResponse that says SERVING.
grpc_health = http2(
    b"\x00\x00\x00\x00\x02\x08\x01",
    content_type="application/grpc",
    trailers=(("grpc-status", "0"),),
)
