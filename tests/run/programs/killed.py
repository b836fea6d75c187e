# SPDX-License-Identifier: MIT
#
# killed.py - workers of multiprocessing are killed in the middle, over and over; the others do all of the work, and a
# pool of concurrent.futures says what has happened to it.
import multiprocessing as mp
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool


def work(started, done, rounds):
    started.release()
    for _ in range(rounds):
        with done.get_lock():
            done.value += 1


def work_forever(started):
    lock = mp.Lock()
    started.release()
    while True:
        with lock:
            pass


def die(_):
    os.kill(os.getpid(), signal.SIGKILL)


def main():
    started, done = mp.Semaphore(0), mp.Value("i", 0)
    workers = [mp.Process(target=work, args=(started, done, 2000)) for _ in range(2)]
    victims = [mp.Process(target=work_forever, args=(started,)) for _ in range(6)]
    for p in workers + victims:
        p.start()
    for _ in workers + victims:
        print(started.acquire(timeout=60))
    for p in victims:
        p.kill()
        p.join()
    for p in workers:
        p.join()
    print(done.value, [p.exitcode for p in workers], [p.exitcode for p in victims])

    with ProcessPoolExecutor(2) as pool:
        try:
            list(pool.map(die, range(4)))
        except BrokenProcessPool:
            print("broken")
    with ProcessPoolExecutor(2) as pool:
        print(sum(pool.map(abs, range(-100, 0))))


if __name__ == "__main__":
    main()
