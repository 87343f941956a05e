"""A network link between two network namespaces, in user space: delay, jitter, loss and black holes on command.

What `tc netem` does, for kernels without `sch_netem`: both ends are TUN devices, so the TCP on either side is the
kernel's own; only the wire between them is ours. The link keeps packets in order, as a real link does.

usage: link.py NAMESPACE_A ADDRESS_A NAMESPACE_B ADDRESS_B [SEED]

Prints "ready" when both ends are up. Then reads commands, one a line, and answers each with "ok" or "error: ...":
  set delay=MS jitter=MS loss=SHARE     of each direction; what is not named stays
  down                                  packets vanish, both ways: a black hole
  up                                    they pass again
Ends when its input ends, and takes the devices with it.
"""

import collections
import fcntl
import os
import random
import select
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000
QUEUE = 10_000  # packets under way in one direction; beyond, they are dropped as by any router


def ip(*args):
    subprocess.run(["ip", *args], check=True)


def end(name, namespace, address, other):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    ip("link", "set", name, "netns", namespace)
    ip("-n", namespace, "link", "set", "lo", "up")
    ip("-n", namespace, "addr", "add", f"{address}/32", "peer", f"{other}/32", "dev", name)
    ip("-n", namespace, "link", "set", name, "up")
    return fd


class Link:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.delay = self.jitter = self.loss = 0.0
        self.down = False

    def command(self, line):
        words = line.split()
        if words == ["down"]:
            self.down = True
        elif words == ["up"]:
            self.down = False
        elif words and words[0] == "set":
            for word in words[1:]:
                key, _, value = word.partition("=")
                if key not in ("delay", "jitter", "loss"):
                    raise ValueError(f"{key} is not delay, jitter or loss")
                setattr(self, key, float(value) / (1000 if key != "loss" else 1))
        else:
            raise ValueError(f"{line!r} is not a command")

    def due(self, now, last):
        """When a packet that comes now leaves; None: never."""
        if self.down or self.random.random() < self.loss:
            return None
        return max(last, now + self.delay + self.random.uniform(0, self.jitter))


def main():
    a, address_a, b, address_b = sys.argv[1:5]
    link = Link(int(sys.argv[5]) if len(sys.argv) > 5 else 1)
    name = f"mrg{os.getpid()}"
    ends = [end(name + "a", a, address_a, address_b), end(name + "b", b, address_b, address_a)]
    other = {ends[0]: ends[1], ends[1]: ends[0]}
    under_way = {fd: collections.deque() for fd in ends}
    print("ready", flush=True)
    typed = b""
    while True:
        now = time.monotonic()
        for to, queue in under_way.items():
            while queue and queue[0][0] <= now:
                try:
                    os.write(to, queue.popleft()[1])
                except BlockingIOError:
                    pass
        nexts = [queue[0][0] for queue in under_way.values() if queue]
        wait = max(0.0, min(nexts) - now) if nexts else None
        readable, _, _ = select.select([0, *ends], [], [], wait)
        for fd in readable:
            if fd == 0:
                more = os.read(0, 4096)
                if not more:
                    return
                typed += more
                *lines, typed = typed.split(b"\n")
                for line in lines:
                    try:
                        link.command(line.decode())
                        print("ok", flush=True)
                    except (ValueError, UnicodeDecodeError) as error:
                        print(f"error: {error}", flush=True)
                continue
            for _ in range(64):
                try:
                    packet = os.read(fd, 65536)
                except BlockingIOError:
                    break
                queue = under_way[other[fd]]
                at = link.due(time.monotonic(), queue[-1][0] if queue else 0.0)
                if at is not None and len(queue) < QUEUE:
                    queue.append((at, packet))


if __name__ == "__main__":
    main()
