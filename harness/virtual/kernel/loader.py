"""Maps drivers: relocations, imports, page protections, and the objects Windows makes for a driver.

Sources: Microsoft, *PE Format*; *DRIVER_OBJECT* (wdm.h), layouts of build 18362.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, NamedTuple

from harness.virtual.cpu.memory import PAGE, page_ceiling
from harness.virtual.interfaces import ImageModule
from harness.virtual.kernel.exceptions.unwindinfo import ExceptionTable
from harness.virtual.kernel.imports import bind_imports, missing_names
from harness.virtual.kernel.loadconfig import guard_targets, set_load_config
from harness.virtual.kernel.pageable import is_pageable_section
from harness.virtual.kernel.pe import DriverImage, read_driver, relocate
from harness.virtual.kernel.structures.driverobject import DRIVER_UNLOAD, SERVICE_KEY_NAME
from harness.virtual.kernel.system import System

__all__ = ["DRIVERS_BASE", "DRIVER_UNLOAD", "LoadedDriver", "Loader", "UnloadedImage", "check_driver_file"]

DRIVERS_BASE: Final = 0xFFFFF803_30000000
"""Where the first driver is mapped, the others above it."""
_GAP: Final = 0x10000
_DRIVER_OBJECT_SIZE: Final = 0x150
_EXTENSION_SIZE: Final = 0x58
_DRIVER_HEADER: Final = struct.Struct("<HHIQIIQIIQQ")
"""Type, Size, pad, DeviceObject, Flags, pad, DriverStart, DriverSize, pad, DriverSection, DriverExtension."""
_DRIVER_TYPE: Final = 4
_REGISTERS_MINIFILTER: Final = "FltRegisterFilter"
_DRVO_LEGACY_DRIVER: Final = 2
_DRIVER_NAME: Final = 0x38
_DRIVER_INIT: Final = 0x58
_MAJOR_FUNCTIONS: Final = 0x70
_MAJOR_COUNT: Final = 28


@dataclass
class LoadedDriver:
    """A loaded driver."""

    module: ImageModule
    driver_object: int
    loader_entry: int
    """Its KLDR_DATA_TABLE_ENTRY, which DRIVER_OBJECT.DriverSection points to."""
    regions: tuple[int, ...]
    discardable: tuple[int, ...]
    """Regions that go once DriverEntry has returned."""
    exception_table: ExceptionTable
    """Its ``.pdata``."""
    minifilter: bool
    """It imports the registration of minifilters."""
    guard_targets: frozenset[int] | None
    """Addresses of the functions that may be called indirectly; None: any code, it was not linked with
    /guard:cf."""


class UnloadedImage(NamedTuple):
    """Where a driver was."""

    name: str
    base: int
    size: int


def check_driver_file(data: bytes) -> tuple[str, ...]:
    """Find out without loading it whether this target can run a driver, and which imports it lacks; see
    :func:`~harness.virtual.kernel.imports.missing_names`. Only using one of them ends a run.

    :raises DriverFileError: not a PE image, or for another machine.
    """
    return missing_names(read_driver(data))


class Loader:
    """Brings driver images into memory and takes them away again."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._next = DRIVERS_BASE

    def load(self, path: str, data: bytes) -> LoadedDriver:
        """Map the image, bind its imports, make its DRIVER_OBJECT.

        :raises DriverFileError: see :func:`check_driver_file`.
        """
        image = read_driver(data)
        base = self._next
        self._next += (image.size + 2 * _GAP - 1) & ~(_GAP - 1)
        mapped = relocate(image, base)
        for slot, address in bind_imports(image, self._system.image.symbols, self._system.missing_imports):
            struct.pack_into("<Q", mapped, slot, address)
        set_load_config(mapped, image.load_config, base, self._system.symbol, guarded=image.guarded)
        regions, discardable = self._map(image, base, mapped)
        name = path.replace("/", "\\").rsplit("\\", 1)[-1]
        module = ImageModule(
            name=name,
            path=path,
            base=base,
            size=image.size,
            entry_point=base + image.entry_point,
            checksum=image.checksum,
        )
        entry = self._system.modules.add(
            module, timestamp=image.timestamp, integrity_forced=image.force_integrity
        )
        driver = LoadedDriver(
            module=module,
            driver_object=self._driver_object(module, entry),
            loader_entry=entry,
            regions=regions,
            discardable=discardable,
            exception_table=ExceptionTable(base, *image.exception_table),
            minifilter=any(wanted.name == _REGISTERS_MINIFILTER for wanted in image.imports),
            guard_targets=guard_targets(mapped, image.load_config, base) if image.guarded else None,
        )
        self._system.drivers[name.lower()] = driver
        self._system.formats.clear()
        return driver

    def discard(self, driver: LoadedDriver) -> None:
        """Free the INIT sections, as Windows does once DriverEntry has returned."""
        for address in driver.discardable:
            self._system.memory.unmap(address)
        driver.discardable = ()

    def unload(self, driver: LoadedDriver) -> None:
        """Unmap the image; its addresses are not used again."""
        system, module = self._system, driver.module
        system.modules.remove(driver.loader_entry)
        system.cpu.instructions.forget(module.base)
        for address in (*driver.regions, *driver.discardable):
            system.pageable.remove(address)
            system.memory.unmap(address)
        system.unloaded.append(UnloadedImage(module.name, module.base, module.size))
        system.formats.clear()
        del system.drivers[module.name.lower()]

    def _map(
        self, image: DriverImage, base: int, mapped: bytearray
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Addresses of the regions that stay, and of those that go after DriverEntry."""
        memory, cpu = self._system.memory, self._system.cpu
        memory.map(base, PAGE, "r", content=bytes(mapped[:PAGE]))
        regions: list[int] = [base]
        discardable: list[int] = []
        for section in image.sections:
            address, size = base + section.rva, page_ceiling(section.size)
            content = bytes(mapped[section.rva : section.rva + size])
            memory.map(address, size, section.protection, content=content)
            (discardable if section.discardable else regions).append(address)
            if is_pageable_section(section.name) and not section.discardable:
                self._system.pageable.add(address, size)
            if "x" in section.protection:
                cpu.instructions.watch(base, address, content)
        return tuple(regions), tuple(discardable)

    def _driver_object(self, module: ImageModule, entry: int) -> int:
        system, heap = self._system, self._system.heap
        memory = system.memory
        service = module.name.rsplit(".", 1)[0]
        driver = heap.allocate(_DRIVER_OBJECT_SIZE)
        extension = heap.allocate(_EXTENSION_SIZE)
        memory.store(
            driver,
            _DRIVER_HEADER.pack(
                *(_DRIVER_TYPE, _DRIVER_OBJECT_SIZE, 0, 0, _DRVO_LEGACY_DRIVER, 0),
                *(module.base, module.size, 0, entry, extension),
            ),
        )
        memory.store(driver + _DRIVER_NAME, memory.load(heap.unicode_string(f"\\Driver\\{service}"), 16))
        memory.put_u64(driver + _DRIVER_INIT, module.entry_point)
        invalid = system.symbol("IopInvalidDeviceRequest")
        memory.store(driver + _MAJOR_FUNCTIONS, struct.pack("<Q", invalid) * _MAJOR_COUNT)
        memory.put_u64(extension, driver)
        memory.store(extension + SERVICE_KEY_NAME, memory.load(heap.unicode_string(service), 16))
        system.other_objects.add(driver)
        return driver
