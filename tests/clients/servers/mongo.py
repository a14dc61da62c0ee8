"""MongoDB's wire protocol, with a server that has nothing in it."""

import struct

import bson

from holdfast.lab.server import ServerStream

_OP_REPLY, _OP_QUERY = 1, 2004


async def mongo(stream: ServerStream) -> None:
    """Answer each command as well done."""
    answer = {"ok": 1.0, "isWritablePrimary": True, "minWireVersion": 0, "maxWireVersion": 21}
    document = bson.encode(answer)
    data = b""
    while chunk := await stream.read():
        data += chunk
        while len(data) >= 16 and len(data) >= (length := int.from_bytes(data[:4], "little")):
            _, request, _, code = struct.unpack("<4i", data[:16])
            data = data[length:]
            if code == _OP_QUERY:
                code, body = _OP_REPLY, struct.pack("<iqii", 8, 0, 0, 1) + document
            else:
                body = struct.pack("<iB", 0, 0) + document
            head = struct.pack("<4i", 16 + len(body), 0, request, code)
            await stream.write(head + body)
