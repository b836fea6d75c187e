# SPDX-License-Identifier: MIT
#
# workers.py fork|spawn - multiprocessing's Pool, Queue, JoinableQueue, Lock, Semaphore, Condition, Event and Barrier
# at work. Prints what must come out, whatever they are made of.
import hashlib
import multiprocessing as mp
import sys
import time


def digest(n):
    return hashlib.sha256(b"%d" % n).hexdigest()


def serve(jobs, results):
    while True:
        n = jobs.get()
        if n is None:
            jobs.task_done()
            return
        results.put((n, n * n))
        jobs.task_done()


def count(lock, value, rounds):
    for _ in range(rounds):
        with lock:
            value.value += 1


def pass_through(seats, inside, most, barrier):
    barrier.wait(60)
    for _ in range(20):
        with seats:
            with inside.get_lock():
                inside.value += 1
                most.value = max(most.value, inside.value)
            with inside.get_lock():
                inside.value -= 1


def wait_for(condition, flag, event):
    with condition:
        condition.wait_for(lambda: flag.value == 1, 60)
    event.set()


def run(ctx, target, args, n):
    group = [ctx.Process(target=target, args=args) for _ in range(n)]
    for p in group:
        p.start()
    for p in group:
        p.join()
    return [p.exitcode for p in group]


def main(method):
    ctx = mp.get_context(method)
    with ctx.Pool(3) as pool:
        print(hashlib.sha256("".join(pool.map(digest, range(2000), 50)).encode()).hexdigest())
        print(sum(pool.imap_unordered(abs, range(-500, 500), 25)))

    jobs, results = ctx.JoinableQueue(8), ctx.Queue()
    servers = [ctx.Process(target=serve, args=(jobs, results)) for _ in range(2)]
    for p in servers:
        p.start()
    for n in range(300):
        jobs.put(n)
    squares = dict(results.get(timeout=60) for _ in range(300))
    for _ in servers:
        jobs.put(None)
    jobs.join()
    for p in servers:
        p.join()
    print(sum(squares.values()), [p.exitcode for p in servers])

    lock, value = ctx.Lock(), ctx.Value("i", 0, lock=False)
    print(run(ctx, count, (lock, value, 500), 3), value.value)

    seats, barrier = ctx.BoundedSemaphore(2), ctx.Barrier(3)
    inside, most = ctx.Value("i", 0), ctx.Value("i", 0)
    print(run(ctx, pass_through, (seats, inside, most, barrier), 3), most.value <= 2, inside.value)

    condition, flag, event = ctx.Condition(), ctx.Value("i", 0), ctx.Event()
    waiter = ctx.Process(target=wait_for, args=(condition, flag, event))
    waiter.start()
    with condition:
        flag.value = 1
        condition.notify_all()
    print(event.wait(60))
    waiter.join()

    semaphore = ctx.Semaphore(1)
    begin = time.monotonic()
    print(semaphore.acquire(), semaphore.acquire(timeout=0.2), semaphore.acquire(block=False))
    print(time.monotonic() - begin >= 0.2, semaphore.get_value())


if __name__ == "__main__":
    main(sys.argv[1])
