#!/usr/bin/env python3
"""Carries the peer links of a cluster where no packet filter can cut them.

usage: relay.py DIR N BASE

For every node J it listens on 127.0.1.J:BASE+300+J and passes bytes on to
127.0.1.J:BASE+100+J. Nodes dial from 127.0.1.I, so both ends of a link are
known. While the file DIR/I/cut exists, links from and to node I are dead: what
is open is dropped, what comes is closed at once. Once that is so, the file says
`done`: whoever made it waits for that.
"""
import asyncio
import os
import sys

POLL_SECONDS = 0.05   # how late a cut may take effect
CHUNK_BYTES = 65536   # held in memory per direction of a link


class Relay:
    def __init__(self, directory, count, base):
        self.directory, self.count, self.base = directory, count, base
        self.links = set()  # (dialling node, listening node, writers)

    def is_cut(self, *nodes):
        return any(os.path.exists(f"{self.directory}/{node}/cut") for node in nodes)

    async def copy(self, reader, writer):
        try:
            while data := await reader.read(CHUNK_BYTES):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.close()

    async def carry(self, target, reader, writer):
        """One link, from the moment a node dials until either end closes."""
        source = int(writer.get_extra_info("peername")[0].rsplit(".", 1)[1])
        if self.is_cut(source, target):
            writer.transport.abort()
            return
        try:
            onward = await asyncio.open_connection(
                f"127.0.1.{target}", self.base + 100 + target, local_addr=(f"127.0.1.{source}", 0))
        except OSError:
            writer.transport.abort()
            return
        if self.is_cut(source, target):  # meanwhile
            writer.transport.abort()
            onward[1].transport.abort()
            return
        link = (source, target, (writer, onward[1]))
        self.links.add(link)
        await asyncio.gather(self.copy(reader, onward[1]), self.copy(onward[0], writer))
        self.links.discard(link)

    def confirm(self, node):
        """Tells who asked for the cut of this node that it has taken effect."""
        try:
            with open(f"{self.directory}/{node}/cut", "r+", encoding="ascii") as file:
                file.write("done\n")
        except FileNotFoundError:
            pass  # not cut, or healed meanwhile

    async def watch(self):
        while os.path.isdir(self.directory):
            cut = [node for node in range(1, self.count + 1) if self.is_cut(node)]
            for source, target, writers in list(self.links):
                if source in cut or target in cut:
                    for writer in writers:
                        writer.transport.abort()
            for node in cut:
                self.confirm(node)
            await asyncio.sleep(POLL_SECONDS)

    async def run(self):
        for node in range(1, self.count + 1):
            async def accept(reader, writer, target=node):
                await self.carry(target, reader, writer)
            await asyncio.start_server(accept, f"127.0.1.{node}", self.base + 300 + node)
        print("relay: ready", flush=True)
        await self.watch()


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    asyncio.run(Relay(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])).run())
