#!/usr/bin/env python3
"""Reads TensorBoard event files with nothing of kin's: own CRC-32C (bit by bit), own protocol-buffer walk.

    python3 tests/golden/tfevents_read.py RUN/events.out.tfevents.*    prints "step tag value" a line
"""
import struct
import sys


def crc32c(data):
    c = 0xFFFFFFFF
    for byte in data:
        c ^= byte
        for _ in range(8):
            c = c >> 1 ^ (0x82F63B78 if c & 1 else 0)
    return c ^ 0xFFFFFFFF


def masked(data):
    c = crc32c(data)
    return ((c >> 15 | c << 17) + 0xA282EAD8) & 0xFFFFFFFF


def fields(b):
    """(number, value) of a message: ints, 8 or 4 raw bytes, or bytes."""
    at = 0

    def varint():
        nonlocal at
        v = shift = 0
        while True:
            v |= (b[at] & 127) << shift
            shift += 7
            at += 1
            if b[at - 1] < 128:
                return v

    while at < len(b):
        key = varint()
        kind = key & 7
        if kind == 0:
            yield key >> 3, varint()
            continue
        n = {1: 8, 5: 4}.get(kind) or varint()
        yield key >> 3, b[at : at + n]
        at += n


assert crc32c(b"123456789") == 0xE3069283
for path in sys.argv[1:]:
    data, at, records = open(path, "rb").read(), 0, 0
    while at < len(data):
        head = data[at : at + 8]
        (n,) = struct.unpack("<Q", head)
        assert struct.unpack("<I", data[at + 8 : at + 12])[0] == masked(head), "length's checksum"
        body = data[at + 12 : at + 12 + n]
        assert struct.unpack("<I", data[at + 12 + n : at + 16 + n])[0] == masked(body), "data's checksum"
        event = dict(fields(body))
        assert struct.unpack("<d", event[1])[0] > 1e9, "wall time"
        assert (event.get(3) == b"brain.Event:2") == (records == 0), "the first record is the version"
        if 7 in event:
            print(event.get(2, 0), "session_log", dict(fields(event[7]))[1])
        for number, value in fields(event.get(5, b"")):
            v = dict(fields(value))
            print(event.get(2, 0), v[1].decode(), "%.9g" % struct.unpack("<f", v[2])[0])
        at += 16 + n
        records += 1
