"""Load on `gqa-reasoner serve`: many clients, mixed and malformed requests, then hostile ones.

    python benchmarks/bench_serve.py                     # 64 clients for 60 seconds
    python benchmarks/bench_serve.py --seconds 10 --clients 8

Starts a server of its own over the shipped example pictures. Ends with 1 when an answer had a
status of 5xx, memory grew by more than a tenth after the first quarter, or a hostile request was
not refused cleanly.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

try:
    import httpx2 as httpx
except ImportError:
    import httpx  # type: ignore[no-redef]

EXAMPLES = Path(__file__).resolve().parents[1] / "gqa_reasoner" / "examples"
FIND = (
    "Which pictures show a {}?", "How many pictures have a {}?", "a {} on the left",
    "What is the most common color of the {}?", "What share of the pictures show a {}?",
    "happy {} near something edible",
)  # fmt: skip
ASK = (
    "What color is the {}?", "Is there a {}?", "What is to the left of the {}?",
    "What is the {} made of?", "How many things are near the {}?", "What place is this?",
)  # fmt: skip
NAMES = (
    "girl", "man", "shirt", "elephant", "teapot", "table", "kite", "boat", "hat", "dog", "couch",
    "laptop", "bus", "sun", "zeppelin",
)  # fmt: skip
JSON = {"content-type": "application/json"}
FORM = {"content-type": "multipart/form-data"}
MALFORMED: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("POST", "/api/ask", {"content": b'{"question": "Wh', "headers": JSON}),
    ("POST", "/api/ask", {"json": {"question": 7}}),
    ("POST", "/api/ask", {"json": {"question": "What?", "image_id": "nothing.jpg"}}),
    ("POST", "/api/ask", {"content": b"\xff\xfe\x00", "headers": JSON}),
    ("POST", "/api/upload", {"files": {"file": ("a.png", b"no picture")}}),
    ("POST", "/api/upload", {"content": b"--x", "headers": FORM}),
    ("GET", "/api/find?question=", {}),
    ("GET", "/api/find?question=a&limit=-3", {}),
    ("GET", "/api/image?id=../../etc/passwd", {}),
    ("GET", "/static/..%2f..%2fetc%2fpasswd", {}),
    ("DELETE", "/api/ask", {}),
)  # fmt: skip
WEIGHTS = {
    "thumbnail": 30, "find": 16, "ask": 20, "compare": 2, "image": 6, "picture": 6, "page": 7,
    "list": 5, "upload": 3, "malformed": 5,
}  # fmt: skip


def request_of(kind: str, names: list[str], dice: random.Random) -> tuple[str, str, dict[str, Any]]:
    """Method, address and options of one request."""
    name, thing = dice.choice(names), dice.choice(NAMES)
    question = dice.choice(ASK).format(thing)
    if kind == "malformed":
        return dice.choice(MALFORMED)
    if kind == "find":
        return "GET", "/api/find", {"params": {"question": dice.choice(FIND).format(thing)}}
    if kind == "ask":
        mode = dice.choice(("none", "triples", "both"))
        body = {"question": question, "image_id": name, "expansion": mode}
        return "POST", "/api/ask", {"json": body}
    if kind == "compare":
        return "POST", "/api/compare", {"json": {"question": question, "image_id": name}}
    if kind == "upload":
        data = (EXAMPLES / name).read_bytes()
        return "POST", "/api/upload", {"files": {"file": (name, data)}}
    if kind == "list":
        return "GET", "/api/pictures", {"params": {"offset": dice.randint(0, 14)}}
    if kind == "page":
        return "GET", dice.choice(("/", "/static/app.js", "/static/base.css", "/health")), {}
    return "GET", f"/api/{kind}", {"params": {"id": name}}


class Tally:
    """Statuses and times of everything that was asked."""

    def __init__(self) -> None:
        self.statuses: dict[str, Counter[str]] = defaultdict(Counter)
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.memory: list[tuple[float, float]] = []

    def table(self) -> str:
        """One row a kind: requests, statuses, median, p95 and slowest in milliseconds."""
        rows = [
            "| request | number | statuses | median ms | p95 ms | slowest ms |",
            "| --- " * 6 + "|",
        ]
        everything = [value for values in self.seconds.values() for value in values]
        for kind, values in [*sorted(self.seconds.items()), ("all", everything)]:
            counts = (
                self.statuses[kind] if kind != "all" else sum(self.statuses.values(), Counter())
            )
            said = ", ".join(f"{status}: {number}" for status, number in sorted(counts.items()))
            figures = [statistics.median(values), percentile(values, 0.95), max(values)]
            cells = " | ".join(f"{1000 * value:.0f}" for value in figures)
            rows.append(f"| {kind} | {len(values)} | {said} | {cells} |")
        return "\n".join(rows)


def percentile(values: list[float], share: float) -> float:
    """The value below which a share of the values lies."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


async def client_loop(
    client: httpx.AsyncClient, names: list[str], tally: Tally, seed: int, until: float
) -> None:
    """One client: asks, waits for the answer, asks again; comes back later when told to."""
    dice = random.Random(seed)
    while time.monotonic() < until:
        kind = dice.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        method, path, options = request_of(kind, names, dice)
        began = time.monotonic()
        try:
            response = await client.request(method, path, **options)
            status = str(response.status_code)
            if response.status_code == 429:
                await asyncio.sleep(min(float(response.headers["retry-after"]), 2.0))
        except httpx.HTTPError as error:
            status = type(error).__name__
        tally.statuses[kind][status] += 1
        tally.seconds[kind].append(time.monotonic() - began)


async def load(address: str, pid: int, clients: int, seconds: float) -> Tally:
    """Run every client at once and watch the server's memory."""
    names = sorted(path.name for path in EXAMPLES.glob("*.jpg"))
    tally, until = Tally(), time.monotonic() + seconds
    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    async with httpx.AsyncClient(base_url=address, limits=limits, timeout=60) as client:
        tasks = [
            asyncio.create_task(client_loop(client, names, tally, seed, until))
            for seed in range(clients)
        ]
        while not all(task.done() for task in tasks):
            tally.memory.append((time.monotonic() - until + seconds, resident(pid)))
            await asyncio.sleep(1)
        await asyncio.gather(*tasks)
    return tally


def resident(pid: int) -> float:
    """Resident memory of a process in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def huge_png() -> bytes:
    """A PNG of 20,000 x 10,000 pixels in a few kilobytes."""

    def part(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(b"\0" * 20_001) for _ in range(10_000)) + packer.flush()
    head = struct.pack(">IIBBBBB", 20_000, 10_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", data) + part(b"IEND", b"")


def raw(port: int, head: bytes, body: bytes = b"", pause: float = 0.0) -> str:
    """The first line and last line that a raw connection reads, with the seconds it took."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(head)
        for start in range(0, len(body), 1 << 20):
            connection.sendall(body[start : start + (1 << 20)])
        time.sleep(pause)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    lines = answer.decode("latin-1").strip().splitlines()
    return f"{lines[0]} {lines[-1]} ({time.monotonic() - began:.1f} s)"


def hostile(address: str, port: int, pid: int) -> list[tuple[str, str, bool]]:
    """Requests that must be refused: what, the answer, whether it was right."""
    head = b"POST /api/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; "
    head += b"boundary=x\r\nConnection: close\r\n"
    before, found = resident(pid), []

    def upload(what: str, data: bytes, status: int) -> None:
        response = httpx.post(f"{address}api/upload", files={"file": ("a.png", data)}, timeout=60)
        said = f"{response.status_code} {response.json()['error']}"
        found.append((what, said, response.status_code == status))

    picture = (EXAMPLES / "tea.jpg").read_bytes()
    upload("corrupt upload (half a JPEG)", picture[: len(picture) // 2], 422)
    upload("upload that is no picture", b"MZ\x90\0" * 500, 415)
    upload("PNG of 200 megapixels", huge_png(), 413)
    for path in ("/../../etc/passwd", "/static/../../etc/passwd", "/api/image?id=../../etc/passwd"):
        line = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
        said = raw(port, line)
        found.append((path, said, " 404 " in said and "root:" not in said))
    body = b"x" * (50 << 20)
    said = raw(port, head + f"Content-Length: {len(body)}\r\n\r\n".encode(), body)
    found.append(("body of 50 MiB", said, " 413 " in said))
    block = b"100000\r\n" + b"x" * (1 << 20) + b"\r\n"
    chunked = b"--x\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\n"
    first = f"{len(chunked):x}\r\n".encode() + chunked + b"\r\n"
    said = raw(
        port, head + b"Transfer-Encoding: chunked\r\n\r\n", first + block * 50 + b"0\r\n\r\n"
    )
    found.append(("chunked body of 50 MiB", said, " 413 " in said))
    said = raw(port, b"GET / HT")
    found.append(("slow client: half a head", said, " 408 " in said))
    said = raw(port, head + b"Content-Length: 1000\r\n\r\n--x")
    found.append(("slow client: half a body", said, " 408 " in said))
    grown = resident(pid) - before
    found.append(("memory after all of these", f"{grown:+.1f} MiB", grown < 150))
    return found


def graceful(address: str, server: subprocess.Popen[str]) -> tuple[str, str, bool]:
    """SIGTERM while questions run: they are answered, then the process ends with 0."""

    async def run() -> list[int]:
        async with httpx.AsyncClient(base_url=address, timeout=60) as client:
            body = {"question": "What color is the shirt?", "image_id": "tea.jpg"}
            tasks = [asyncio.create_task(client.post("/api/compare", json=body)) for _ in range(6)]
            await asyncio.sleep(0.1)
            server.send_signal(signal.SIGTERM)
            return [response.status_code for response in await asyncio.gather(*tasks)]

    statuses = asyncio.run(run())
    status = server.wait(60)
    said = f"six running comparisons answered {statuses}, exit status {status}"
    return "SIGTERM under load", said, statuses == [200] * 6 and status == 0


def main() -> int:
    """Index, serve, load, attack, stop; print a report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "pictures"
        folder.mkdir()
        for path in EXAMPLES.glob("*.jpg"):
            shutil.copy(path, folder)
        command = [sys.executable, "-m", "gqa_reasoner"]
        subprocess.run([*command, "index", str(folder)], check=True)
        log = str(Path(place) / "clicks.tsv")
        server = subprocess.Popen(
            [*command, "serve", str(folder), "--port", "0", "--coclick-log", log],
            stderr=subprocess.PIPE,
            text=True,
        )
        if server.stderr is None:
            return 1
        line = server.stderr.readline()
        print(line.strip(), file=sys.stderr)
        address = line.rsplit(" at ", 1)[1].strip()
        port = int(address.rstrip("/").rsplit(":", 1)[1])
        began = os.getloadavg()
        tally = asyncio.run(load(address, server.pid, arguments.clients, arguments.seconds))
        return report(arguments, tally, began, address, port, server)


def report(
    arguments: argparse.Namespace,
    tally: Tally,
    began: tuple[float, float, float],
    address: str,
    port: int,
    server: subprocess.Popen[str],
) -> int:
    """Print what was seen; the exit status."""
    total = sum(len(values) for values in tally.seconds.values())
    print(
        f"{arguments.clients} clients, {arguments.seconds:g} s: {total} requests, "
        f"{total / arguments.seconds:.0f} a second; load average {began[0]:.1f} before, "
        f"{os.getloadavg()[0]:.1f} after, {os.cpu_count()} cores\n"
    )
    print(tally.table() + "\n")
    metrics = httpx.get(f"{address}metrics", timeout=60).text.splitlines()
    for queue in ("answer", "find"):
        jobs, batches = (
            next(
                float(line.rsplit(" ", 1)[1])
                for line in metrics
                if line.startswith(f'gqa_batch_size_{part}{{queue="{queue}"}}')
            )
            for part in ("sum", "count")
        )
        print(f"{queue}: {jobs:.0f} jobs in {batches:.0f} batches, {jobs / batches:.2f} each")
    memory = [value for _, value in tally.memory]
    quarter = memory[len(memory) // 4]
    print(
        f"resident MiB: {memory[0]:.0f} at the start, {quarter:.0f} after a quarter, "
        f"{memory[len(memory) // 2]:.0f} after half, {memory[-1]:.0f} at the end\n"
    )
    trials = [*hostile(address, port, server.pid), graceful(address, server)]
    print("| hostile request | answer | as it should be |\n| --- | --- | --- |")
    for what, said, right in trials:
        print(f"| {what} | {said} | {'yes' if right else 'NO'} |")
    statuses = sum(tally.statuses.values(), Counter())
    bad = {status: number for status, number in statuses.items() if status[0] not in "234"}
    flat = memory[-1] <= quarter * 1.1
    verdict = {"no 5xx": not bad, "memory flat": flat, "refused": all(one[2] for one in trials)}
    print("\n" + json.dumps({**verdict, "bad": bad}))
    return 0 if all(verdict.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
