"""The peer: UmaDB through its own client, single appends by many threads; an event as large as ours, tagged with its aggregate.

`python -m benchmarks.peer_umadb URL THREADS SECONDS` prints the appends and seconds.
"""

import json
import random
import sys
import threading
import time
from uuid import uuid4

from umadb import Client, Event

RECORD = random.randbytes(300)


def main(url: str, threads: int, seconds: float) -> dict[str, float]:
    """Append one event at a time in every thread; each waits for its own."""
    counts = [0] * threads
    start = threading.Barrier(threads + 1)
    ends = 0.0

    def append(place: int) -> None:
        with Client(url) as client:
            client.head()
            start.wait()
            while time.perf_counter() < ends:
                client.append([Event("CounterStarted", RECORD, [f"counter:{uuid4()}"])])
                counts[place] += 1

    running = [threading.Thread(target=append, args=(place,)) for place in range(threads)]
    for one in running:
        one.start()
    ends = time.perf_counter() + seconds
    start.wait()
    began = time.perf_counter()
    ends = began + seconds
    for one in running:
        one.join()
    return {"operations": sum(counts), "seconds": time.perf_counter() - began}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))))
