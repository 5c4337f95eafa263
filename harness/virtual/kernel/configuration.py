"""The registry: keys and values, as the configuration manager keeps them.

It holds what drivers look up first (their own service keys, and the version of Windows) and what drivers
write; Windows' own thousands of keys are not there. CurrentControlSet leads to ControlSet001. Source:
Microsoft, *Registry Key Object Routines*.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

__all__ = ["MAX_DATA", "MAX_KEYS", "Registry", "RegistryKey", "RegistryValue", "service_key_path"]

MAX_KEYS: Final = 65_536
"""Keys that the registry holds at most."""
MAX_DATA: Final = 1 << 20
"""Bytes of a value's data at most, as in Windows' standard format."""
_SERVICES: Final = "\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Services"
_VERSION: Final = "\\REGISTRY\\MACHINE\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion"
_AT_FIRST: Final = (_SERVICES, _VERSION, "\\REGISTRY\\USER")
_ROOT: Final = "registry"
_CURRENT, _CURRENT_IS = "currentcontrolset", "controlset001"
_SZ, _EXPAND_SZ, _DWORD = 1, 2, 4
_FACTS: Final = {
    "CurrentBuild": "18362",
    "CurrentBuildNumber": "18362",
    "CurrentVersion": "6.3",
    "ProductName": "Windows 10 Pro",
    "ReleaseId": "1903",
    "SystemRoot": "C:\\Windows",
}
_KERNEL_DRIVER, _FILE_SYSTEM_DRIVER, _DEMAND_START, _ERROR_NORMAL = 1, 2, 3, 1
_MINIFILTER_GROUP: Final = "FSFilter Activity Monitor"
_ALTITUDE: Final = 370_030
"""Of the first minifilter, within what Microsoft gives to that group; each further one has the next."""


class RegistryValue(NamedTuple):
    """One value of a key."""

    name: str
    kind: int
    """REG_SZ and its like."""
    data: bytes


@dataclass(eq=False)
class RegistryKey:
    """One key."""

    path: str
    """Its full name, as it was created."""
    keys: dict[str, RegistryKey] = field(default_factory=dict)
    """By their names in lower case."""
    values: dict[str, RegistryValue] = field(default_factory=dict)
    """The same."""
    deleted: bool = False

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("\\")[2]


def service_key_path(service: str) -> str:
    """The key of a driver's service: what DriverEntry is given."""
    return f"{_SERVICES}\\{service}"


class Registry:
    """The tree of all keys."""

    def __init__(self) -> None:
        self._root = RegistryKey("\\REGISTRY")
        self._count = 0
        self._minifilters = 0
        for path in _AT_FIRST:
            key = self._root
            for part in path.split("\\")[2:]:
                key = self._made(key, part)
        version = self.find(None, _VERSION)
        assert version is not None, "it was made above"
        for name, text in _FACTS.items():
            self.set(version, name, _SZ, _text(text))

    def find(self, root: RegistryKey | None, path: str) -> RegistryKey | None:
        """The key of that name.

        :param root: what the name is relative to; None: to nothing, it begins with a backslash.
        """
        key = root
        parts = [part.lower() for part in path.split("\\") if part]
        if key is None:
            if not parts or parts[0] != _ROOT:
                return None
            key, parts = self._root, parts[1:]
        for part in parts:
            found = key.keys.get(part)
            if found is None and part == _CURRENT:
                found = key.keys.get(_CURRENT_IS)
            if found is None:
                return None
            key = found
        return key

    def create(self, parent: RegistryKey, name: str) -> RegistryKey | None:
        """A key in ``parent``, the one that is there if there is one; None where no more fit."""
        if name.lower() not in parent.keys and self._count >= MAX_KEYS:
            return None
        return self._made(parent, name)

    def delete(self, key: RegistryKey) -> None:
        """Take a key without keys in it away."""
        parent = self.find(None, key.path.rpartition("\\")[0])
        if parent is not None and parent.keys.get(key.name.lower()) is key:
            del parent.keys[key.name.lower()]
            self._count -= 1
        key.deleted = True

    def set(self, key: RegistryKey, name: str, kind: int, data: bytes) -> None:
        """Write a value; its name is the default value's where it is empty."""
        known = key.values.get(name.lower())
        key.values[name.lower()] = RegistryValue(known.name if known else name, kind, data)

    def _made(self, parent: RegistryKey, name: str) -> RegistryKey:
        found = parent.keys.get(name.lower())
        if found is None:
            self._count += 1
            found = parent.keys[name.lower()] = RegistryKey(f"{parent.path}\\{name}")
        return found

    def text(self, key: RegistryKey, name: str) -> str | None:
        """A value of type REG_SZ, up to its NUL; None where there is none."""
        value = key.values.get(name.lower())
        if value is None or value.kind != _SZ:
            return None
        whole = value.data[: len(value.data) & ~1]
        return whole.decode("utf-16-le", "surrogatepass").partition("\0")[0]

    def add_service(self, file: str, image_path: str, *, minifilter: bool) -> str:
        """What the service control manager has written for a driver; the key's path.

        :param file: the driver's, after which the service is named.
        :param minifilter: its INF has an instance, too, as that of a minifilter has.
        """
        service = file.rsplit(".", 1)[0]
        path = service_key_path(service)
        services = self.find(None, _SERVICES)
        key = None if services is None else self.create(services, service)
        if key is not None:
            self.set(key, "ImagePath", _EXPAND_SZ, _text(image_path))
            for name, number in (
                ("Type", _FILE_SYSTEM_DRIVER if minifilter else _KERNEL_DRIVER),
                ("Start", _DEMAND_START),
                ("ErrorControl", _ERROR_NORMAL),
            ):
                self.set(key, name, _DWORD, number.to_bytes(4, "little"))
            if minifilter and "instances" not in key.keys:
                self._add_instance(key)
        return path

    def _add_instance(self, key: RegistryKey) -> None:
        """The default instance of a minifilter, at an altitude of its own."""
        self.set(key, "Group", _SZ, _text(_MINIFILTER_GROUP))
        name = f"{key.name} Instance"
        instances = self.create(key, "Instances")
        instance = None if instances is None else self.create(instances, name)
        if instances is not None and instance is not None:
            self.set(instances, "DefaultInstance", _SZ, _text(name))
            self.set(instance, "Altitude", _SZ, _text(str(_ALTITUDE + self._minifilters)))
            self.set(instance, "Flags", _DWORD, bytes(4))
            self._minifilters += 1


def _text(text: str) -> bytes:
    return text.encode("utf-16-le", "surrogatepass") + b"\0\0"
