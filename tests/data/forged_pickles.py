"""Pickles that forge an array's insides or declare far more than they hold."""

from __future__ import annotations

import struct

MINUS_ONE = b"J\xff\xff\xff\xff"
RECONSTRUCT = b"cnumpy._core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85C\x01btR"


def dtype(code: bytes, order: bytes = b"<") -> bytes:
    """The opcodes of a dtype."""
    made = b"cnumpy\ndtype\n(X%c\x00\x00\x00%s\x89\x88tR" % (len(code), code)
    return made + b"(K\x03X\x01\x00\x00\x00" + order + b"NNN" + MINUS_ONE * 2 + b"K\x00tb"


def array(shape: bytes, code: bytes, data: bytes, order: bytes = b"<") -> bytes:
    """A pickled array with a state of our choice; `shape` and `data` are opcodes themselves."""
    return b"\x80\x04" + RECONSTRUCT + b"(K\x01" + shape + dtype(code, order) + b"\x89" + data + b"tb."


def number(value: int) -> bytes:
    data = value.to_bytes(9, "little", signed=True)
    return b"\x8a\x09" + data


FORGED = {
    "more bytes than shape": array(b"K\x02\x85", b"f4", b"C\x0c" + b"x" * 12),
    "fewer bytes than shape": array(b"K\x02\x85", b"f4", b"C\x04xxxx"),
    "negative size": array(number(-1) + b"\x85", b"f4", b"C\x04xxxx"),
    "negative sizes whose product fits": array(number(-1) + number(-1) + b"\x86", b"f4", b"C\x04xxxx"),
    "sizes that overflow": array(number(2**33) + number(2**33) + b"\x86", b"f4", b"C\x00"),
    "boolean size": array(b"\x88\x85", b"f4", b"C\x04xxxx"),
    "shape not a tuple": array(b"K\x01", b"f4", b"C\x04xxxx"),
    "too many axes": array(b"(" + b"K\x01" * 40 + b"t", b"f4", b"C\x04xxxx"),
    "pointers as bytes": array(b"K\x01\x85", b"O", b"C\x08" + b"A" * 8),
    "list for numbers": array(b"K\x01\x85", b"f4", b"]K\x01a"),
    "object list too short": array(b"K\x02\x85", b"O", b"]K\x01a"),
    "object array of lists": array(b"K\x01\x85", b"O", b"]]a"),
    "no such character": array(b"K\x01\x85", b"U1", b"C\x04\xff\xff\xff\xff"),
    "text as data": array(b"K\x01\x85", b"f4", b"\x8c\x04" + "éééé".encode()[:4]),
    "void type": array(b"K\x01\x85", b"V4", b"C\x04xxxx"),
    "dates": array(b"K\x01\x85", b"M8", b"C\x08xxxxxxxx"),
    "long double": array(b"K\x01\x85", b"f16", b"C\x10" + b"x" * 16),
    "structure by text": array(b"K\x01\x85", b"f4,O", b"C\x04xxxx"),
    "strange byte order": array(b"K\x01\x85", b"f4", b"C\x04xxxx", order=b"!"),
    "no dtype": b"\x80\x04" + RECONSTRUCT + b"(K\x01K\x01\x85N\x89C\x04xxxxtb.",
    "another array class": b"cnumpy._core.multiarray\n_reconstruct\n(K\x00K\x00\x85C\x01btR.",
    "filled twice": array(b"K\x00\x85", b"f4", b"C\x00")[:-1]
    + b"(K\x01K\x00\x85"
    + dtype(b"f4")
    + b"\x89C\x00tb.",
    "frombuffer of objects": b"cnumpy._core.numeric\n_frombuffer\n(C\x08AAAAAAAA"
    + dtype(b"O")
    + b"K\x01\x85X\x01\x00\x00\x00CtR.",
    "frombuffer's axes": b"cnumpy._core.numeric\n_frombuffer\n(C\x04AAAA"
    + dtype(b"f4")
    + b"K\x01\x85X\x01\x00\x00\x00KK\x07\x85tR.",
    "scalar too short": b"cnumpy._core.multiarray\nscalar\n(" + dtype(b"f8") + b"C\x04AAAAtR.",
    "scalar of object": b"cnumpy._core.multiarray\nscalar\n(" + dtype(b"O") + b"C\x08AAAAAAAAtR.",
    "encode with another codec": b"c_codecs\nencode\n(X\x01\x00\x00\x00aX\x03\x00\x00\x00hextR.",
    "set of text": b"cbuiltins\nset\n(X\x02\x00\x00\x00abtR.",
    "list as a key": b"\x80\x02}]K\x01s.",
    "nested tuple as a key": b"\x80\x02}K\x01\x85\x85K\x01s.",
    "very deep tuple as a key": b"\x80\x02})" + b"\x85" * 100_000 + b"K\x01s.",
    "bytearray of a number": b"cbuiltins\nbytearray\n(J\xff\xff\xff\x7ftR.",
    "complex of text": b"cbuiltins\ncomplex\n(X\x02\x00\x00\x001jtR.",
    "call of text": b"\x80\x02X\x01\x00\x00\x00a)R.",
    "items for a tuple": b"\x80\x02)K\x01a.",
    "odd dict": b"\x80\x02}(K\x01u.",
    "empty stack": b"\x80\x02.",
    "mark below": b"\x80\x02t.",
    "memo that is not there": b"\x80\x02h\x05.",
    "protocol 77": b"\x80M].",
    "digits without end": b"I" + b"9" * 100_000 + b"\n.",
    "quotes": b"S'abc\n.",
    "not UTF-8": b"\x80\x04\x8c\x02\xff\xfe.",
    "text file": b"hello, this is a README\n",
    "null bytes": bytes(100),
}


def text8(size: int) -> bytes:
    return struct.pack("<Q", size)


BOMBS = {
    "bytes of an exabyte": b"\x80\x04\x8e" + text8(2**60),
    "text of an exabyte": b"\x80\x04\x8d" + text8(2**60),
    "bytearray of an exabyte": b"\x80\x05\x96" + text8(2**60),
    "bytes of 2 GB": b"\x80\x03B" + struct.pack("<I", 2**31) + b"x" * 50,
    "negative string": b"T" + struct.pack("<i", -1) + b"x.",
    "integer of 2 GB": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"x.",
    "empty text, many times": array(number(2**50) + b"\x85", b"U0", b"C\x00"),
    "an empty axis beside a huge one": array(b"K\x00" + number(2**50) + b"\x86", b"f4", b"C\x00"),
    "wide text": array(b"K\x00\x85", b"U999999999", b"C\x00"),
    "the same bytes encoded again and again": b"\x80\x02c_codecs\nencode\nq\x00X\x00\x00\x10\x00"
    + b"a" * 2**20
    + b"X\x06\x00\x00\x00latin1\x86q\x01("
    + b"h\x00h\x01R" * 200
    + b"l.",
    "the same bytearray again and again": b"\x80\x03cbuiltins\nbytearray\nq\x00B\x00\x00\x10\x00"
    + b"a" * 2**20
    + b"\x85q\x01("
    + b"h\x00h\x01R" * 200
    + b"l.",
    "the same list made a set again and again": b"\x80\x02cbuiltins\nset\nq\x00]("
    + b"K\x01" * 20_000
    + b"e\x85q\x01("
    + b"h\x00h\x01R" * 1000
    + b"l.",
    "a list of too many empty lists": b"\x80\x02](" + b"]" * 100_001 + b"e.",
}
