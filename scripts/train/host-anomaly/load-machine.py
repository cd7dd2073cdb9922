#!/usr/bin/env python3
"""Puts a load of one kind on this machine for some seconds: load-machine.py ordinary|cpu|memory|disk SECONDS.

Bounded on purpose, since the machine may have other users: everything runs niced, files stay under 2 GB in a folder
of their own, and the memory load works inside a memory cgroup so that only its own pages are reclaimed.
"""
import contextlib
import hashlib
import json
import mmap
import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import zlib

FOLDER = "/tmp/holdfast-load"
MIB = 1 << 20


def until(deadline):
    while time.monotonic() < deadline:
        yield


# --- ordinary: what a gateway or a developer's machine does in bursts, with pauses

def work_hash(seconds):
    end = time.monotonic() + seconds
    block = os.urandom(256 * 1024)
    while time.monotonic() < end:
        hashlib.sha256(block).digest()


def work_json(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        json.loads(json.dumps([{"i": i, "text": "x" * (i % 50)} for i in range(3000)]))


def work_compress(seconds):
    end = time.monotonic() + seconds
    block = os.urandom(64 * 1024) * 4
    while time.monotonic() < end:
        zlib.compress(block, 6)


def work_database(seconds):
    """Small durable commits, a few dozen a second, as a logger or a daemon makes them."""
    end = time.monotonic() + seconds
    path = f"{FOLDER}/ordinary-{os.getpid()}.db"
    database = sqlite3.connect(path)
    database.execute("pragma journal_mode=wal")
    database.execute("pragma synchronous=full")
    database.execute("create table if not exists rows (at real, body text)")
    while time.monotonic() < end:
        with database:
            for _ in range(random.randint(1, 50)):
                database.execute("insert into rows values (?, ?)", (time.time(), "y" * 300))
        time.sleep(0.025)
    database.close()
    for suffix in ("", "-wal", "-shm"):
        if os.path.exists(path + suffix):
            os.unlink(path + suffix)


def work_copy(_seconds):
    path = f"{FOLDER}/copy-{os.getpid()}"
    with open(path, "wb") as file:
        file.write(os.urandom(random.randint(1, 30) * MIB))
    shutil.copyfile(path, path + ".2")
    os.unlink(path)
    os.unlink(path + ".2")


def work_walk(_seconds):
    subprocess.run(["find", "/usr/lib", "-name", "*.so*", "-newer", "/etc/hostname"], stdout=subprocess.DEVNULL)


def work_processes(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        subprocess.run([sys.executable, "-c", "import json, sqlite3, email"], check=False)


def work_memory(_seconds):
    pages = bytearray(random.randint(50, 400) * MIB)
    pages[:: 4096] = b"x" * len(pages[:: 4096])
    time.sleep(0.5)


ORDINARY = [work_hash, work_json, work_compress, work_database, work_copy, work_walk, work_processes, work_memory]


def ordinary(deadline):
    for _ in until(deadline):
        # mostly one thing at a time, now and then two or three
        together = random.choice([1, 1, 1, 2, 2, 3])
        seconds = random.choice([0.2, 0.5, 1, 2, 2, 4, 8])
        seconds = min(seconds, max(0.1, deadline - time.monotonic()))
        jobs = [multiprocessing.Process(target=random.choice(ORDINARY), args=(seconds,)) for _ in range(together)]
        for job in jobs:
            job.start()
        for job in jobs:
            job.join()
        time.sleep(min(random.expovariate(1 / 2.0), 8, max(0, deadline - time.monotonic())))


# --- cpu: more runnable than cores, all the time

def burn(deadline):
    block = os.urandom(1 * MIB)
    while time.monotonic() < deadline:
        hashlib.sha256(block).digest()


def cpu(deadline):
    run_all([(burn, (deadline,))] * (3 * (os.cpu_count() or 1)))


# --- memory: a working set twice as big as the memory allowed, re-read all the time

GROUP = "/sys/fs/cgroup/memory/holdfast-load"


def make_cgroup(limit):
    if not os.path.isdir(os.path.dirname(GROUP)):
        sys.exit("memory: needs the memory controller of cgroup v1")
    os.makedirs(GROUP, exist_ok=True)
    with open(f"{GROUP}/memory.limit_in_bytes", "w") as file:
        file.write(str(limit))


def thrash(path, deadline):
    with open(f"{GROUP}/cgroup.procs", "w") as file:
        file.write(str(os.getpid()))
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as pages:
        hot = len(pages) * 3 // 5
        total = 0
        while time.monotonic() < deadline:
            for _ in range(64):
                # most accesses go to the part that would fit if nothing else were read
                limit = hot if random.random() < 0.8 else len(pages)
                total += pages[random.randrange(limit)]
    return total


def memory(deadline):
    path = f"{FOLDER}/working-set"
    with open(path, "wb") as file:
        for _ in range(600):
            file.write(os.urandom(MIB))
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    make_cgroup(300 * MIB)
    run_all([(thrash, (path, deadline))] * 2)


# --- disk: several writers that sync, and big direct transfers

def sync_writer(index, deadline):
    path = f"{FOLDER}/sync-{index}"
    block = os.urandom(16 * 1024)
    with open(path, "wb", buffering=0) as file:
        while time.monotonic() < deadline:
            file.write(block)
            os.fsync(file.fileno())
            if file.tell() > 100 * MIB:
                file.seek(0)


def direct_copier(deadline):
    path = f"{FOLDER}/direct"
    dd = ["dd", "bs=1M", "status=none"]
    while time.monotonic() < deadline:
        for step in ([f"of={path}", "if=/dev/zero", "oflag=direct", "count=600"], [f"if={path}", "of=/dev/null", "iflag=direct"]):
            left = deadline - time.monotonic()
            if left > 0:
                subprocess.run(["timeout", str(left), *dd, *step], check=False)


def disk(deadline):
    run_all([(sync_writer, (index, deadline)) for index in range(3)] + [(direct_copier, (deadline,))])


def run_all(jobs):
    processes = [multiprocessing.Process(target=target, args=arguments) for target, arguments in jobs]
    for process in processes:
        process.start()
    for process in processes:
        process.join()


def main():
    kind, seconds = sys.argv[1], float(sys.argv[2])
    os.setpgid(0, 0)
    os.nice(5)
    os.makedirs(FOLDER, exist_ok=True)

    def stop(_signal, _frame):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.killpg(0, signal.SIGTERM)
        sys.exit(0)

    owner = os.getpid()
    signal.signal(signal.SIGTERM, lambda *found: stop(*found) if os.getpid() == owner else os._exit(0))
    try:
        {"ordinary": ordinary, "cpu": cpu, "memory": memory, "disk": disk}[kind](time.monotonic() + seconds)
    finally:
        if os.getpid() == owner:
            shutil.rmtree(FOLDER, ignore_errors=True)
            with contextlib.suppress(OSError):
                os.rmdir(GROUP)  # not there, or its last process is still leaving: the next run takes it over


if __name__ == "__main__":
    main()
