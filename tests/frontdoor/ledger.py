"""Clients that write, and what they were told: the only thing the checker knows.

A reply makes a write certain, also the one that a stopping server gives: it did not
happen. A write whose reply never came may have happened, or happen later, once: its
counter gets a margin, and its element or field is left alone for good.
"""
import random
import threading
import time

from netbed import Violation
from support import ReplyError, encode

REPLY_SECONDS = 3       # then a client gives up on its connection
PIPELINE_MAX = 12
REST_SECONDS = 0.02     # between pipelines, so that five nodes fit on two cores
SHARED_COUNTERS = 3
REFUSED = ReplyError("ERR the server is stopping")  # the only error that may come here


class Ledger:
    """What one client was told. `counters`: key -> [certain, low, high];
    `elements`: (key, element) -> in it, not in it, or None for unknown;
    `fields`: (key, field) -> the values that may be read."""

    def __init__(self):
        self.counters, self.elements, self.fields = {}, {}, {}
        self.acknowledged = self.unknown = self.refused = 0

    def add(self, key, amount, reply, is_only_writer):
        certain = self.counters.setdefault(key, [0, 0, 0])
        if reply == REFUSED:
            return
        if reply is None:
            certain[1 if amount < 0 else 2] += amount
            return
        certain[0] += amount
        low, high = certain[0] + certain[1], certain[0] + certain[2]
        if is_only_writer and not low <= reply <= high:
            raise Violation(f"INCRBY {key} {amount} answers {reply}, its only writer "
                            f"knows of {low} to {high}")

    def put(self, key, element, is_in, reply):
        if reply == REFUSED:
            self.elements[key, element] = not is_in
            return
        if reply is not None and reply != 1:
            raise Violation(f"{'SADD' if is_in else 'SREM'} {key} {element} answers {reply!r}: "
                            f"the element was {'' if not is_in else 'not '}there")
        self.elements[key, element] = is_in if reply is not None else None

    def assign(self, key, field, value, reply):
        before = self.fields.setdefault((key, field), {None})
        if reply == REFUSED:
            return
        if reply is None:
            self.fields[key, field] = before | {value}
            return
        if reply != (1 if before == {None} else 0):
            raise Violation(f"HSET {key} {field} answers {reply!r}, it held {before}")
        self.fields[key, field] = {value}


class Writer(threading.Thread):
    """One client at one node; only it writes its elements, fields and own counter."""

    def __init__(self, node, seed):
        super().__init__(daemon=True)
        self.node, self.random = node, random.Random(f"{seed} writer {node.number}")
        self.ledger = Ledger()
        self.round = 0
        self.serial = 0
        self.present, self.known_fields = [], []
        self.violation = None
        self.client = None
        self.may_write, self.is_over = threading.Event(), threading.Event()
        self.is_resting = threading.Event()

    def run(self):
        try:
            while not self.is_over.is_set():
                if not self.may_write.is_set():
                    self.is_resting.set()
                    self.may_write.wait(0.05)
                    continue
                self.is_resting.clear()
                self.write()
                time.sleep(REST_SECONDS)
        except Violation as violation:
            self.violation = f"at {self.node.name}: {violation}"
        except Exception as error:  # a broken checker must not look like a quiet one
            self.violation = f"at {self.node.name}: the client itself failed: {error!r}"
        self.is_resting.set()

    def rest(self):
        """Returns when all that was sent is answered or given up."""
        self.may_write.clear()
        self.is_resting.wait()

    def go_on(self, number):
        self.round, self.present, self.known_fields = number, [], []
        self.is_resting.clear()
        self.may_write.set()

    def connect(self):
        try:
            self.client = self.node.client(REPLY_SECONDS)
            return True
        except OSError:  # the node is away
            time.sleep(0.05)
            return False

    def write(self):
        if self.client is None and not self.connect():
            return
        writes = [self.draw() for _ in range(self.random.randint(1, PIPELINE_MAX))]
        replies = []
        try:
            self.client.socket.sendall(b"".join(encode(*words) for words, _ in writes))
            for _ in writes:
                replies.append(self.client.read())
        except OSError:
            self.client.close()
            self.client = None
        for index, (words, note) in enumerate(writes):
            reply = replies[index] if index < len(replies) else None
            if isinstance(reply, ReplyError) and reply != REFUSED:
                raise Violation(f"{' '.join(map(str, words))} answers {reply}")
            self.ledger.acknowledged += reply is not None and reply != REFUSED
            self.ledger.refused += reply == REFUSED
            self.ledger.unknown += reply is None
            note(reply)

    # Every draw returns the command and what to do with its reply. An element or
    # field is taken off the list here, and put back once its fate is known.

    def draw(self):
        return self.random.choice((self.draw_own, self.draw_shared, self.draw_add, self.draw_add,
                                   self.draw_remove, self.draw_assign))()

    def draw_own(self):
        key, amount = f"own:{self.node.number}", self.random.choice((1, 1, 1, 7, -2))
        return (("INCRBY", key, amount),
                lambda reply: self.ledger.add(key, amount, reply, True))

    def draw_shared(self):
        key = f"shared:{self.random.randrange(SHARED_COUNTERS)}"
        return ("INCR", key), lambda reply: self.ledger.add(key, 1, reply, False)

    def next_name(self):
        self.serial += 1
        return f"{self.node.number}:{self.serial}"

    def draw_add(self):
        key, element = f"set:{self.round}", self.next_name()

        def note(reply):
            self.ledger.put(key, element, True, reply)
            if reply == 1:
                self.present.append(element)
        return ("SADD", key, element), note

    def draw_remove(self):
        if not self.present:
            return self.draw_add()
        key = f"set:{self.round}"
        element = self.present.pop(self.random.randrange(len(self.present)))
        return ("SREM", key, element), lambda reply: self.ledger.put(key, element, False, reply)

    def draw_assign(self):
        key, value = f"hash:{self.round}", self.next_name()
        field = self.known_fields.pop(0) if len(self.known_fields) > 8 else value

        def note(reply):
            self.ledger.assign(key, field, value, reply)
            if reply in (0, 1):
                self.known_fields.append(field)
        return ("HSET", key, field, value), note


# ---- The checker ----

def merged_counters(ledgers):
    sums = {}
    for ledger in ledgers:
        for key, amounts in ledger.counters.items():
            sums[key] = [a + b for a, b in zip(sums.get(key, (0, 0, 0)), amounts)]
    return sums


def complaints(ledgers, read, rounds):
    """Yields what contradicts the ledgers; read(*words) asks one node."""
    for key, (certain, low, high) in sorted(merged_counters(ledgers).items()):
        value = int(read("GET", key) or 0)
        if not certain + low <= value <= certain + high:
            yield (f"counter {key} is {value}: {certain} were acknowledged, between {low} and "
                   f"{high} more are unknown")
    for number in rounds:
        yield from set_complaints(ledgers, f"set:{number}", set(read("SMEMBERS", f"set:{number}")))
        flat = read("HGETALL", f"hash:{number}")
        yield from hash_complaints(ledgers, f"hash:{number}", dict(zip(flat[::2], flat[1::2])))


def set_complaints(ledgers, key, found):
    known = {element: is_in for ledger in ledgers
             for (owner, element), is_in in ledger.elements.items() if owner == key}
    for element, is_in in known.items():
        if is_in is True and element not in found:
            yield f"{key} lacks {element}: its SADD was acknowledged, nobody removed it"
        if is_in is False and element in found:
            yield f"{key} holds {element}: its SREM was acknowledged, nobody added it again"
    for element in found - set(known):
        yield f"{key} holds {element}, which nobody added"


def hash_complaints(ledgers, key, found):
    known = {field: values for ledger in ledgers
             for (owner, field), values in ledger.fields.items() if owner == key}
    for field, values in known.items():
        if found.get(field) not in values:
            yield f"{key} {field} is {found.get(field)}: acknowledged was one of {values}"
    for field in set(found) - set(known):
        yield f"{key} has the field {field}, which nobody set"
