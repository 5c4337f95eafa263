"""The rest of the system: pool threads of other processes that come and go, and now and then map a library.

Scenarios run on a machine that is never quite still. The recorded one made a thread outside the observed
programs about 1.6 times a second.
"""

from __future__ import annotations

from harness.virtual.clock import MILLISECOND, SECOND
from harness.virtual.nt.scheduler import Activity, Program
from harness.virtual.nt.system import NtSystem

__all__ = ["start_noise"]

BUSY_PROCESSES = ("svchost.exe", "explorer.exe", "SearchIndexer.exe", "MsMpEng.exe", "RuntimeBroker.exe")
MEAN_DISTANCE = 5 * SECOND // 8
LIBRARY_RATE = 0.1
"""How many of these threads map a library."""
LIBRARIES = ("version.dll", "winmm.dll", "psapi.dll", "dbghelp.dll", "ntmarta.dll", "profapi.dll")


def start_noise(system: NtSystem) -> None:
    """Let the background begin; it never ends and nobody waits for it."""
    driver = system.named("System").threads[0]
    system.scheduler.run_thread(driver, _background(system), Activity.BACKGROUND)


def _background(system: NtSystem) -> Program:
    rng = system.rng
    while True:
        yield round(rng.expovariate(1 / MEAN_DISTANCE))
        name = rng.choice(BUSY_PROCESSES)
        busy = [
            process
            for process in system.processes.values()
            if process.name == name and not process.ending and process.live_threads()
        ]
        if busy:
            creator = rng.choice(rng.choice(busy).live_threads())
            system.scheduler.run_thread(creator, _pool_thread(system, creator.tid), Activity.BACKGROUND)


def _pool_thread(system: NtSystem, creator_tid: int) -> Program:
    """Runs in the creator first, to make the thread, then hands over to the thread itself."""
    creator = system.threads.get(creator_tid)
    if creator is None or not creator.alive or creator.process.ending:
        return
    thread = system.new_thread(creator.process)
    system.announce(thread)
    system.scheduler.run_thread(
        thread, system.guarded(thread, _life(system, thread.tid)), Activity.BACKGROUND
    )
    yield 0


def _life(system: NtSystem, tid: int) -> Program:
    thread = system.threads[tid]
    rng = system.rng
    if rng.random() < LIBRARY_RATE:
        yield rng.randrange(MILLISECOND, 4 * MILLISECOND)
        library = system.store.find(rng.choice(LIBRARIES))
        if library is not None:
            system.map_image(thread.process, library)
    yield rng.randrange(MILLISECOND, 3 * SECOND)
    system.exit_thread(thread)
