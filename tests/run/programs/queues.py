# SPDX-License-Identifier: MIT
#
# queues.py - POSIX message queues from Python by ctypes, out of librt as programs do that were written before 2021:
# priorities, deadlines, select, and a child that answers.
import ctypes
import errno
import os
import select
import time

O_NONBLOCK = os.O_NONBLOCK
rt = ctypes.CDLL("librt.so.1", use_errno=True)


class Attr(ctypes.Structure):
    _fields_ = [(n, ctypes.c_long) for n in ("flags", "maxmsg", "msgsize", "curmsgs")] + [
        ("rest", ctypes.c_long * 4)
    ]


class Time(ctypes.Structure):
    _fields_ = [("sec", ctypes.c_long), ("nsec", ctypes.c_long)]


rt.mq_receive.restype = rt.mq_timedreceive.restype = ctypes.c_ssize_t


def make(name, flags=0):
    attr = Attr(maxmsg=8, msgsize=128)
    q = rt.mq_open(name, os.O_RDWR | os.O_CREAT | flags, ctypes.c_uint(0o600), ctypes.byref(attr))
    assert q >= 0, os.strerror(ctypes.get_errno())
    return q


def send(q, text, prio):
    return rt.mq_send(q, text, ctypes.c_size_t(len(text)), ctypes.c_uint(prio))


def receive(q):
    text, prio = ctypes.create_string_buffer(128), ctypes.c_uint()
    n = rt.mq_receive(q, text, ctypes.c_size_t(128), ctypes.byref(prio))
    return errno.errorcode[ctypes.get_errno()] if n < 0 else (text.raw[:n], prio.value)


def main():
    there, back = b"/posthaste-there-%d" % os.getpid(), b"/posthaste-back-%d" % os.getpid()
    q, answers = make(there), make(back)
    for prio in (3, 1, 9, 3):
        send(q, b"priority %d" % prio, prio)
    print([receive(q) for _ in range(4)])
    attr = Attr()
    rt.mq_getattr(q, ctypes.byref(attr))
    print(attr.flags, attr.maxmsg, attr.msgsize, attr.curmsgs)

    text = ctypes.create_string_buffer(128)
    soon = Time(int(time.time()) - 1, 0)
    rt.mq_timedreceive(q, text, ctypes.c_size_t(128), None, ctypes.byref(soon))
    print(errno.errorcode[ctypes.get_errno()])
    print(select.select([q], [q], [], 0)[:2] == ([], [q]))

    child = os.fork()
    if child == 0:
        while True:
            word, prio = receive(q)
            send(answers, word[::-1], prio)
            if word == b"end":
                os._exit(0)
    words = []
    for i in range(500):
        send(q, b"word %d" % i, 0)
        assert select.select([answers], [], [], 60)[0] == [answers]
        words.append(receive(answers)[0][::-1])
    send(q, b"end", 0)
    print(words == [b"word %d" % i for i in range(500)], receive(answers)[0], os.waitpid(child, 0)[1])

    flags = Attr(flags=O_NONBLOCK)
    rt.mq_setattr(q, ctypes.byref(flags), None)
    print(receive(q))
    print(rt.mq_close(q), rt.mq_close(answers), rt.mq_unlink(there), rt.mq_unlink(back), rt.mq_close(q))


main()
