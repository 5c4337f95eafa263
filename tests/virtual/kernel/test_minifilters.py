r"""Minifilters: registration and its refusals, instances, communication ports, unloading."""

from __future__ import annotations

import pytest
from booted import SYSTEM, Booted
from made_drivers import make_driver

from harness.errors import DriverBugcheck, DriverHang

FRAME = r"""
#include <fltKernel.h>
static PFLT_FILTER Filter;
static PFLT_PORT Port, Other, Client;
static PDRIVER_OBJECT Driver;
static NTSTATUS Attaches;
static ULONG Number;
static BOOLEAN Again;
#define KERNEL (OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE)
static NTSTATUS NTAPI Connect(PFLT_PORT c, PVOID s, PVOID n, ULONG z, PVOID *k);
static NTSTATUS Open(PFLT_PORT *port, PCWSTR text, ULONG flags, PFLT_CONNECT_NOTIFY connect, LONG most);

static NTSTATUS NTAPI Setup(PCFLT_RELATED_OBJECTS o, FLT_INSTANCE_SETUP_FLAGS f, DEVICE_TYPE d,
                            FLT_FILESYSTEM_TYPE t)
{
    DbgPrint("setup %d %d", o->Filter == Filter, o->Instance != NULL);
    DbgPrint(" %d %x %u %u\n", o->FileObject != NULL, f, d, t);
    return Attaches;
}
static VOID NTAPI Down(PCFLT_RELATED_OBJECTS o, FLT_INSTANCE_TEARDOWN_FLAGS r)
{
    DbgPrint("down %d %x\n", o->Instance != NULL, r);
    if (Again)
        FltUnregisterFilter(Filter), DbgPrint("again %x\n", Open(&Port, L"\\Late", KERNEL, Connect, 1));
}
static NTSTATUS NTAPI Connect(PFLT_PORT c, PVOID s, PVOID n, ULONG z, PVOID *k)
{
    (void)s, (void)n, (void)z, (void)k;
    Client = c;
    return STATUS_SUCCESS;
}
static VOID NTAPI Disconnect(PVOID cookie) { (void)cookie, FltCloseClientPort(Filter, &Client); }
static FLT_PREOP_CALLBACK_STATUS NTAPI Pre(PFLT_CALLBACK_DATA d, PCFLT_RELATED_OBJECTS o, PVOID *c)
{
    (void)o, (void)c;
    FltSetCallbackDataDirty(d);
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}
static NTSTATUS NTAPI Generate(PFLT_INSTANCE i, PFILE_OBJECT f, PFLT_CALLBACK_DATA d, FLT_FILE_NAME_OPTIONS o,
                               PBOOLEAN c, PFLT_NAME_CONTROL n)
{
    (void)i, (void)f, (void)d, (void)o, (void)c, (void)n;
    return STATUS_UNSUCCESSFUL;
}
static VOID NTAPI Clean(PVOID *c) { (void)c; }
static NTSTATUS NTAPI FilterUnload(FLT_FILTER_UNLOAD_FLAGS f);
static const FLT_OPERATION_REGISTRATION Operations[] = {
    {IRP_MJ_CREATE, 0, Pre, NULL}, {IRP_MJ_CLEANUP, 0, NULL, NULL}, {IRP_MJ_SET_INFORMATION, 0, Pre, NULL},
    {IRP_MJ_NETWORK_QUERY_OPEN, 0, Pre, NULL}, {IRP_MJ_OPERATION_END}};
static FLT_REGISTRATION Registration = {.Size = sizeof Registration, .Version = FLT_REGISTRATION_VERSION,
    .FilterUnloadCallback = FilterUnload, .InstanceSetupCallback = Setup,
    .InstanceTeardownStartCallback = Down, .InstanceTeardownCompleteCallback = Down};

static NTSTATUS Register(VOID) { return FltRegisterFilter(Driver, &Registration, &Filter); }
static NTSTATUS Open(PFLT_PORT *port, PCWSTR text, ULONG flags, PFLT_CONNECT_NOTIFY connect, LONG most)
{
    UNICODE_STRING name;
    OBJECT_ATTRIBUTES a;
    RtlInitUnicodeString(&name, text);
    InitializeObjectAttributes(&a, &name, flags, NULL, NULL);
    return FltCreateCommunicationPort(Filter, port, &a, NULL, connect, Disconnect, NULL, most);
}
static NTSTATUS NTAPI FilterUnload(FLT_FILTER_UNLOAD_FLAGS f)
{
    DbgPrint("unload %x\n", f);
    switch (Number) {
UNLOADS
    default: FltUnregisterFilter(Filter);
    }
    return STATUS_FLT_DO_NOT_DETACH;
}
static VOID NTAPI Unload(PDRIVER_OBJECT driver) { DbgPrint("DriverUnload %d\n", driver == Driver); }
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    UNICODE_STRING digits = {4, 4, path->Buffer + path->Length / sizeof(WCHAR) - 2};
    NTSTATUS status = STATUS_SUCCESS;
    Driver = driver, driver->DriverUnload = Unload;
    RtlUnicodeStringToInteger(&digits, 10, &Number);
    switch (Number) {
ENTERS
    }
    return status;
}
"""
STARTS = 'DbgPrint("%x", Register()), DbgPrint(" %x", FltStartFiltering(Filter));'
STARTS += ' DbgPrint(" %x\\n", FltStartFiltering(Filter));'
REGISTERS = 'status = Register(), DbgPrint("%x", status);'
REGISTERS += " if (NT_SUCCESS(status)) FltUnregisterFilter(Filter); status = STATUS_SUCCESS;"
DELETES = 'RtlDeleteRegistryValue(RTL_REGISTRY_SERVICES, L"OWN_KEY\\\\Instances'
NONE = 'RtlWriteRegistryValue(RTL_REGISTRY_SERVICES, L"OWN_KEY\\\\Instances",'
NONE += ' L"DefaultInstance", REG_SZ, L"x", 4);'
PORTS = r"""
    Register();
    DbgPrint("%x", Open(&Port, L"\\Mine", OBJ_CASE_INSENSITIVE, Connect, 1));
    DbgPrint(" %x", Open(&Port, L"\\Mine", KERNEL, Connect, 0));
    DbgPrint(" %x %p", Open(&Port, L"\\Mine", KERNEL, NULL, 1), Port);
    DbgPrint(" %x %d", Open(&Port, L"\\Mine", KERNEL, Connect, 1), Port != NULL);
    DbgPrint(" %x", Open(&Other, L"\\mine", KERNEL, Connect, 1));
    DbgPrint(" %x\n", Open(&Other, L"\\Else", KERNEL, Connect, 9));
    DbgPrint("%x", FltSendMessage(Filter, &Client, &Client, sizeof Client, NULL, NULL, NULL));
    FltCloseCommunicationPort(Other);
    DbgPrint(" %x\n", Open(&Other, L"\\Else", KERNEL, Connect, 9));
    FltCloseCommunicationPort(Other);
"""
DESCRIPTORS = r"""
    PISECURITY_DESCRIPTOR sd;
    SECURITY_DESCRIPTOR own;
    PACL acl;
    DbgPrint("%x", FltBuildDefaultSecurityDescriptor((PSECURITY_DESCRIPTOR *)&sd, FLT_PORT_ALL_ACCESS));
    acl = sd->Dacl;
    DbgPrint(" %u %x %u %u", sd->Revision, sd->Control, acl->AceCount, acl->AclSize);
    DbgPrint(" %x", ((PACCESS_ALLOWED_ACE)(acl + 1))->Mask);
    DbgPrint(" %x %d\n", RtlSetDaclSecurityDescriptor(sd, TRUE, NULL, FALSE), sd->Dacl == NULL);
    DbgPrint("%x", RtlCreateSecurityDescriptor(&own, 2));
    DbgPrint(" %x", RtlCreateSecurityDescriptor(&own, SECURITY_DESCRIPTOR_REVISION));
    DbgPrint(" %x %x\n", RtlSetDaclSecurityDescriptor(&own, TRUE, NULL, TRUE), own.Control);
    FltFreeSecurityDescriptor(sd);
"""
LOCKS = r"""
    static EX_PUSH_LOCK lock;
    static ERESOURCE resource;
    PVOID block = FltAllocatePoolAlignedWithTag(NULL, NonPagedPool, 64, 'tseT');
    FLT_CALLBACK_DATA data = {.Thread = PsGetCurrentThread()}, nobody = {0};
    FltInitializePushLock(&lock);
    FltAcquirePushLockShared(&lock), FltAcquirePushLockSharedEx(&lock, 0);
    DbgPrint("%d", KeAreApcsDisabled());
    FltReleasePushLockEx(&lock, 0), FltReleasePushLock(&lock);
    DbgPrint("%d", KeAreApcsDisabled());
    FltAcquirePushLockExclusive(&lock), FltReleasePushLock(&lock);
    FltAcquirePushLockExclusiveEx(&lock, 0), FltReleasePushLock(&lock), FltDeletePushLock(&lock);
    ExInitializeResourceLite(&resource);
    FltAcquireResourceExclusive(&resource), FltReleaseResource(&resource);
    FltAcquireResourceShared(&resource);
    DbgPrint("%d", KeAreApcsDisabled());
    FltReleaseResource(&resource), ExDeleteResourceLite(&resource);
    DbgPrint("%d", KeAreApcsDisabled());
    DbgPrint(" %d", FltGetRequestorProcess(&data) == PsGetCurrentProcess());
    DbgPrint(" %u", FltGetRequestorProcessId(&data));
    DbgPrint(" %p %u\n", FltGetRequestorProcess(&nobody), FltGetRequestorProcessId(&nobody));
    FltFreePoolAlignedWithTag(NULL, block, 'tseT');
"""
CASES = {
    "starts": (STARTS, ""),
    "attaches-not": (f"Attaches = STATUS_FLT_DO_NOT_ATTACH; {STARTS}", ""),
    "takes-back": (f"{STARTS} FltUnregisterFilter(Filter);", ""),
    "version-3": (f"Registration.Version = 0x0300; {REGISTERS}", ""),
    "version-1": (f"Registration.Version = 0x0100; {REGISTERS}", ""),
    "version-2": (f"Registration.Version = FLT_REGISTRATION_VERSION_0200; {REGISTERS}", ""),
    "cleans-alone": (f"Registration.NormalizeContextCleanupCallback = Clean; {REGISTERS}", ""),
    "no-altitude": (f'{DELETES}\\\\OWN_KEY Instance", L"Altitude"); {REGISTERS}', ""),
    "no-default": (f'{DELETES}", L"DefaultInstance"); {REGISTERS}', ""),
    "no-instance": (f"{NONE} {REGISTERS}", ""),
    "operations": (
        "Registration.OperationRegistration = Operations, Registration.GenerateFileNameCallback = Generate;"
        " Register();",
        "",
    ),
    "supports-no-stop": (
        "Registration.Flags = FLTFL_REGISTRATION_DO_NOT_SUPPORT_SERVICE_STOP; Register();",
        "",
    ),
    "stays": (STARTS, ";"),
    "again": (f"Again = TRUE; {STARTS}", ""),
    "twice": (STARTS, "FltUnregisterFilter(Filter), FltUnregisterFilter(Filter);"),
    "ports": (PORTS, "FltCloseCommunicationPort(Port), FltUnregisterFilter(Filter);"),
    "port-stays": (PORTS, ""),
    "port-twice": (f"{PORTS} FltCloseCommunicationPort(Port), FltCloseCommunicationPort(Port);", ""),
    "descriptors": (DESCRIPTORS, ""),
    "locks": (LOCKS, ""),
}
"""What DriverEntry does, and what the FilterUnloadCallback does where that is not to unregister."""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """All of them: the number in the service's name says which."""

    def cases(what: int) -> str:
        bodies = ((number, texts[what]) for number, texts in enumerate(CASES.values()))
        return "\n".join(
            f"    case {number}: {{ {body.replace('OWN_KEY', _service(number))} break; }}"
            for number, body in bodies
            if body
        )

    source = FRAME.replace("UNLOADS", cases(1)).replace("ENTERS", cases(0))
    return make_driver(source, tmp_path_factory.mktemp("minifilters"))


def _service(number: int) -> str:
    return f"made{number:02}"


class Made:
    """One minifilter on a kernel of its own."""

    def __init__(self, image: bytes, booted: Booted, case: str) -> None:
        self._booted = booted
        self._name = f"{_service([*CASES].index(case))}.sys"
        assert booted.load(image, self._name) == 0

    def unload(self) -> int:
        status = self._booted.kernel.unload_driver(name=self._name, context=SYSTEM)
        assert isinstance(status, int)
        return status

    @property
    def prints(self) -> list[str]:
        return b"".join(self._booted.debugger.prints).decode("ascii").splitlines()

    @property
    def rules(self) -> list[str]:
        return [broken.rule for broken in self._booted.kernel.broken_rules]


def test_it_is_attached_to_the_volume_and_unloaded_in_windows_order(image: bytes, booted: Booted) -> None:
    made = Made(image, booted, "starts")
    assert made.unload() == 0
    assert made.prints == [
        *("0setup 1 1 0 1 8 2", " 0 c000000d"),
        *("unload 1", "down 1 4", "down 1 4", "DriverUnload 1"),
    ]
    assert made.rules == [] and booted.kernel.calls.uncalled == ()


def test_one_that_does_not_attach_has_no_instance(image: bytes, booted: Booted) -> None:
    made = Made(image, booted, "attaches-not")
    assert made.unload() == 0
    assert made.prints == ["0setup 1 1 0 1 8 2", " 0 c000000d", "unload 1", "DriverUnload 1"]
    assert made.rules == []


def test_a_driver_that_takes_it_back_is_torn_down_without_demand(image: bytes, booted: Booted) -> None:
    made = Made(image, booted, "takes-back")
    assert made.prints[-2:] == ["down 1 2", "down 1 2"]
    assert (made.unload(), made.prints[-1], made.rules) == (0, "DriverUnload 1", [])


@pytest.mark.parametrize(
    ("case", "status"),
    [
        *((case, "c000000d") for case in ("version-3", "version-1", "cleans-alone")),
        ("version-2", "0"),
        *((case, "c0000034") for case in ("no-altitude", "no-default", "no-instance")),
    ],
)
def test_what_a_registration_needs(case: str, status: str, image: bytes, booted: Booted) -> None:
    made = Made(image, booted, case)
    assert (made.prints, made.rules) == ([status], [])


def test_each_has_an_altitude_of_its_own(image: bytes, booted: Booted) -> None:
    one, other = Made(image, booted, "starts"), Made(image, booted, "attaches-not")
    assert one.prints == ["0setup 1 1 0 1 8 2", " 0 c000000d"] * 2, "neither keeps the other from the volume"
    assert (one.unload(), other.unload(), other.rules) == (0, 0, [])


def test_what_is_never_called_is_told(image: bytes, booted: Booted) -> None:
    Made(image, booted, "operations")
    (told,) = booted.kernel.calls.uncalled
    assert told.endswith(
        "registered a minifilter, and the virtual target calls it for no operation on a file:"
        " IRP_MJ_CREATE, IRP_MJ_SET_INFORMATION, operation 0xf2, names of files"
    )


def test_one_that_supports_no_stop_cannot_be_unloaded(image: bytes, booted: Booted) -> None:
    made = Made(image, booted, "supports-no-stop")
    assert (made.unload(), made.prints) == (0xC000_0010, [])


def test_one_that_stays_registered_is_told(image: bytes, booted: Booted) -> None:
    made = Made(image, booted, "stays")
    assert made.unload() == 0
    assert made.prints[-2:] == ["unload 1", "DriverUnload 1"]
    assert made.rules == ["UnloadFilters"]


def test_while_it_goes_it_is_not_unregistered_again_and_gets_no_port(image: bytes, booted: Booted) -> None:
    made = Made(image, booted, "again")
    assert (made.unload(), made.rules) == (0, [])
    assert made.prints[-5:] == [*("down 1 4", "again c01c000b") * 2, "DriverUnload 1"]


def test_unregistered_twice_it_touches_what_is_gone(image: bytes, booted: Booted) -> None:
    made = Made(image, booted, "twice")
    with pytest.raises(DriverBugcheck):
        made.unload()
    (broken,) = booted.kernel.broken_rules
    assert broken.rule == "SpecialPool" and "freed pool" in broken.message


def test_ports_have_names_of_their_own(image: bytes, booted: Booted) -> None:
    made = Made(image, booted, "ports")
    assert made.prints == [f"c000000d c000000d c000000d {'0' * 16} 0 1 c0000035 0", "c0000037 0"]
    assert (made.unload(), made.rules) == (0, [])


def test_a_port_that_is_open_holds_the_minifilter(image: bytes, booted: Booted) -> None:
    made = Made(image, booted, "port-stays")
    with pytest.raises(DriverHang, match="in FltUnregisterFilter for its communication port to be closed"):
        made.unload()


def test_a_port_that_is_closed_twice_breaks_the_rule_of_handles(image: bytes, booted: Booted) -> None:
    made = Made(image, booted, "port-twice")
    assert (made.unload(), made.rules) == (0, ["KernelHandles"])


def test_security_descriptors_of_ports(image: bytes, booted: Booted) -> None:
    made = Made(image, booted, "descriptors")
    assert made.prints == ["0 1 4 2 52 1f0001 0 1", "c0000058 0 0 c"]
    assert (made.unload(), made.rules) == (0, [])


def test_locks_keep_apcs_off(image: bytes, booted: Booted) -> None:
    made = Made(image, booted, "locks")
    assert made.prints == [f"1010 1 4 {'0' * 16} 0"]
    assert (made.unload(), made.rules) == (0, [])
