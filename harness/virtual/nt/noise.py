"""The rest of the system: pool threads of other processes that come and go, and now and then map a library.

Scenarios run on a machine that is never quite still. The recorded one made a thread outside the observed
programs about 1.6 times a second. Some of the libraries come without a FullImageName: Windows passes NULL
where it cannot obtain the name (PLOAD_IMAGE_NOTIFY_ROUTINE), and a driver has to live with that.
"""

from __future__ import annotations

from itertools import count

from harness.virtual.clock import MILLISECOND, SECOND
from harness.virtual.dispatcher.dispatcher import Activity
from harness.virtual.dispatcher.program import Program
from harness.virtual.nt.objects import Thread
from harness.virtual.nt.system import NtSystem

__all__ = ["start_noise"]

BUSY_PROCESSES = ("svchost.exe", "explorer.exe", "SearchIndexer.exe", "MsMpEng.exe", "RuntimeBroker.exe")
MEAN_DISTANCE = 5 * SECOND // 8
LIBRARY_EVERY = 8
"""One in that many of these threads maps a library, the second one first."""
NAMELESS_EVERY = 4
"""One in that many of the libraries has no name, the first one first."""
LIBRARIES = ("version.dll", "winmm.dll", "psapi.dll", "dbghelp.dll", "ntmarta.dll", "profapi.dll")


def start_noise(system: NtSystem) -> None:
    """Let the background begin; it never ends and nobody waits for it."""
    driver = system.named("System").threads[0]
    system.dispatcher.run_thread(driver, _background(system), Activity.BACKGROUND)


def _background(system: NtSystem) -> Program[None]:
    rng = system.rng
    for number in count():
        yield round(rng.expovariate(1 / MEAN_DISTANCE))
        name = rng.choice(BUSY_PROCESSES)
        busy = [
            process
            for process in system.processes.values()
            if process.name == name and not process.ending and process.live_threads()
        ]
        if busy:
            creator = rng.choice(rng.choice(busy).live_threads())
            thread = _pool_thread(system, creator, number)
            system.dispatcher.run_thread(creator, thread, Activity.BACKGROUND)


def _pool_thread(system: NtSystem, creator: Thread, number: int) -> Program[None]:
    """Runs in the creator, to make the thread, then hands over to the thread itself."""
    if not creator.alive or creator.process.ending:
        return
    thread = system.new_thread(creator.process)
    yield from system.announce(thread)
    life = system.guarded(thread, _life(system, thread, number))
    system.dispatcher.run_thread(thread, life, Activity.BACKGROUND)
    yield 0


def _life(system: NtSystem, thread: Thread, number: int) -> Program[None]:
    rng = system.rng
    library, rest = divmod(number, LIBRARY_EVERY)
    if rest == 1:
        yield rng.randrange(MILLISECOND, 4 * MILLISECOND)
        image = system.store.find(rng.choice(LIBRARIES))
        if image is not None:
            yield from system.map_image(thread.process, image, nameless=library % NAMELESS_EVERY == 0)
    yield rng.randrange(MILLISECOND, 3 * SECOND)
    yield from system.exit_thread(thread)
