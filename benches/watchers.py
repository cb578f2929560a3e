"""CPython's child watchers on the work of the `watchers` bench.

usage: watchers.py cpu WATCHER LIVE VICTIMS   prints the parent's CPU time for an exit, in us
       watchers.py rate WATCHER CHILDREN      prints exits a second, 64 at a time, and false 255s
"""
import asyncio
import os
import resource
import sys
import warnings

warnings.simplefilter("ignore")
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def cpu_time():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def cat(reader):
    """A child that lives until its standard input ends."""
    actions = [
        (os.POSIX_SPAWN_DUP2, reader, 0),
        (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
    ]
    return os.posix_spawn("/bin/cat", ["cat"], os.environ, file_actions=actions)


async def cpu(watcher, live, victims):
    loop = asyncio.get_running_loop()
    told = asyncio.Event()

    def watch(reader, callback):
        with watcher:
            pid = cat(reader)
            watcher.add_child_handler(pid, callback)

    held, holder = os.pipe()
    left = live

    def ended(pid, returncode):
        nonlocal left
        left -= 1
        if left == 0:
            told.set()

    for _ in range(live):
        watch(held, ended)
    writers = []
    for _ in range(victims):
        reader, writer = os.pipe()
        future = loop.create_future()

        def told_of(pid, returncode, future=future):
            # The threaded watcher and the multi-loop one come by call_soon_threadsafe already.
            future.set_result(returncode)

        watch(reader, told_of)
        os.close(reader)
        writers.append((writer, future))
    before = cpu_time()
    for writer, future in writers:
        os.close(writer)
        assert await future == 0
    after = cpu_time()
    print((after - before) / victims * 1e6)
    sys.stdout.flush()
    os.close(holder)
    await told.wait()


async def rate(watcher, children):
    loop = asyncio.get_running_loop()
    false = 0

    async def work(count):
        nonlocal false
        for _ in range(count):
            pipe = asyncio.subprocess.PIPE
            child = await asyncio.create_subprocess_exec(
                "/bin/true", stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
            )
            false += await child.wait() == 255

    begin = loop.time()
    await asyncio.gather(*(work(children // 64) for _ in range(64)))
    print(children // 64 * 64 / (loop.time() - begin), false)


async def main(what, name, *numbers):
    watcher = getattr(asyncio, name)()
    asyncio.set_child_watcher(watcher)
    watcher.attach_loop(asyncio.get_running_loop())
    await {"cpu": cpu, "rate": rate}[what](watcher, *map(int, numbers))


asyncio.run(main(*sys.argv[1:]))
