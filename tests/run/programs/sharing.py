# SPDX-License-Identifier: MIT
#
# sharing.py - multiprocessing.shared_memory: made, attached by name, sized, unlinked; a manager of it; and what is not
# unlinked is removed by the tracker when the program ends.
import multiprocessing as mp
import subprocess
import sys
from multiprocessing import shared_memory
from multiprocessing.managers import SharedMemoryManager

LEAVES = """
from multiprocessing import shared_memory
print(shared_memory.SharedMemory(create=True, size=5000).name)
"""


def fill(name, part, parts):
    memory = shared_memory.SharedMemory(name)
    for i in range(part, 100000, parts):
        memory.buf[i] = i % 251
    memory.close()


def there(name):
    try:
        memory = shared_memory.SharedMemory(name)
    except FileNotFoundError:
        return False
    memory.close()
    return True


def main():
    memory = shared_memory.SharedMemory(create=True, size=100000)
    group = [mp.Process(target=fill, args=(memory.name, part, 3)) for part in range(3)]
    for p in group:
        p.start()
    for p in group:
        p.join()
    print(bytes(memory.buf[:100000]) == bytes(i % 251 for i in range(100000)), memory.size >= 100000)
    try:
        shared_memory.SharedMemory(memory.name, create=True, size=10)
    except FileExistsError:
        print("exists")
    memory.close()
    memory.unlink()
    print(there(memory.name))

    with SharedMemoryManager() as manager:
        numbers = manager.ShareableList(range(1000))
        print(sum(numbers))
        name = numbers.shm.name
        print(there(name))
        numbers.shm.close()
    print(there(name))

    left = subprocess.run([sys.executable, "-c", LEAVES], capture_output=True, text=True, check=True)
    print("leaked shared_memory" in left.stderr, there(left.stdout.strip()))


if __name__ == "__main__":
    main()
