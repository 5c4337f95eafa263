"""Structure layouts of Windows 10 1903 (build 18362, x64), as Microsoft's public symbols give them.

Only fields that the virtual target fills. Sources: the public PDB of ntoskrnl.exe 10.0.18362 as published by
the Vergilius project and Geoff Chappell (sizes of KTHREAD and ETHREAD), ``wdbgexts.h`` of the WDK for
KDDEBUGGER_DATA64, ``ntddk.h`` for KUSER_SHARED_DATA, and the AMD64 descriptor formats of the Intel SDM vol. 3
for the GDT.
"""

from __future__ import annotations

from typing import Final

from harness.virtual.windows.layout import Layout

__all__ = [
    "BUILD_LAB",
    "BUILD_NUMBER",
    "EPROCESS",
    "ETHREAD",
    "KDDEBUGGER_DATA64",
    "KLDR_DATA_TABLE_ENTRY",
    "KPCR",
    "KPRCB_OFFSET",
    "KUSER_SHARED_DATA",
    "SIZE_OF_KPRCB",
]

BUILD_NUMBER: Final = 18362
BUILD_LAB: Final = "18362.1.amd64fre.19h1_release.190318-1202"

KPRCB_OFFSET: Final = 0x180
"""KPCR.Prcb."""
SIZE_OF_KPRCB: Final = 0x7E80

KDDEBUGGER_DATA64: Final = Layout(
    "KDDEBUGGER_DATA64",
    0x380,
    {
        "List": (0x00, "QQ"),
        "OwnerTag": (0x10, "4s"),
        "Size": (0x14, "I"),
        "KernBase": (0x18, "Q"),
        "BreakpointWithStatus": (0x20, "Q"),
        "SavedContext": (0x28, "Q"),
        "PaeEnabled": (0x36, "H"),
        "PsLoadedModuleList": (0x48, "Q"),
        "PsActiveProcessHead": (0x50, "Q"),
        "PspCidTable": (0x58, "Q"),
        "KeTimeIncrement": (0x78, "Q"),
        "KeBugCheckCallbackListHead": (0x80, "Q"),
        "KiBugcheckData": (0x88, "Q"),
        "MmHighestPhysicalPage": (0xF0, "Q"),
        "MmNumberOfPhysicalPages": (0xF8, "Q"),
        "MmPageSize": (0x138, "Q"),
        "MmHighestUserAddress": (0x1C8, "Q"),
        "MmSystemRangeStart": (0x1D0, "Q"),
        "MmUserProbeAddress": (0x1D8, "Q"),
        "KdPrintCircularBuffer": (0x1E0, "Q"),
        "KdPrintCircularBufferEnd": (0x1E8, "Q"),
        "KdPrintWritePointer": (0x1F0, "Q"),
        "KdPrintRolloverCount": (0x1F8, "Q"),
        "NtBuildLab": (0x208, "Q"),
        "KiProcessorBlock": (0x218, "Q"),
        "MmUnloadedDrivers": (0x220, "Q"),
        "MmLastUnloadedDriver": (0x228, "Q"),
        "CmNtCSDVersion": (0x268, "Q"),
        "OffsetKThreadNextProcessor": (0x298, "H"),
        "OffsetKThreadTeb": (0x29A, "H"),
        "OffsetKThreadKernelStack": (0x29C, "H"),
        "OffsetKThreadInitialStack": (0x29E, "H"),
        "OffsetKThreadApcProcess": (0x2A0, "H"),
        "OffsetKThreadState": (0x2A2, "H"),
        "SizeEProcess": (0x2A8, "H"),
        "OffsetEprocessPeb": (0x2AA, "H"),
        "OffsetEprocessParentCID": (0x2AC, "H"),
        "OffsetEprocessDirectoryTableBase": (0x2AE, "H"),
        "SizePrcb": (0x2B0, "H"),
        "OffsetPrcbCurrentThread": (0x2B4, "H"),
        "OffsetPrcbMhz": (0x2B6, "H"),
        "OffsetPrcbCpuType": (0x2B8, "H"),
        "OffsetPrcbVendorString": (0x2BA, "H"),
        "OffsetPrcbProcStateContext": (0x2BC, "H"),
        "OffsetPrcbNumber": (0x2BE, "H"),
        "SizeEThread": (0x2C0, "H"),
        "KdPrintCircularBufferPtr": (0x2C8, "Q"),
        "KdPrintBufferSize": (0x2D0, "Q"),
        "KeLoaderBlock": (0x2D8, "Q"),
        "SizePcr": (0x2E0, "H"),
        "OffsetPcrSelfPcr": (0x2E2, "H"),
        "OffsetPcrCurrentPrcb": (0x2E4, "H"),
        "OffsetPcrContainedPrcb": (0x2E6, "H"),
        "OffsetPrcbProcStateSpecialReg": (0x2F2, "H"),
        "GdtR0Code": (0x2F4, "H"),
        "GdtR0Data": (0x2F6, "H"),
        "GdtR3Code": (0x2FA, "H"),
        "GdtR3Data": (0x2FC, "H"),
        "GdtR3Teb": (0x2FE, "H"),
        "GdtTss": (0x302, "H"),
        "Gdt64R3CmCode": (0x304, "H"),
        "Gdt64R3CmTeb": (0x306, "H"),
        "OffsetPrcbMaxBreakpoints": (0x33A, "H"),
        "OffsetKThreadStackLimit": (0x340, "I"),
        "OffsetKThreadStackBase": (0x344, "I"),
        "OffsetPrcbIdleThread": (0x350, "H"),
        "OffsetKThreadWaitReason": (0x35C, "H"),
        "PteBase": (0x360, "Q"),
    },
)
"""DBGKD_DEBUG_DATA_HEADER64 and what follows it; the fields after PteBase (Windows 10 1809) stay zero."""

KLDR_DATA_TABLE_ENTRY: Final = Layout(
    "KLDR_DATA_TABLE_ENTRY",
    0xA0,
    {
        "InLoadOrderLinks": (0x00, "QQ"),
        "DllBase": (0x30, "Q"),
        "EntryPoint": (0x38, "Q"),
        "SizeOfImage": (0x40, "I"),
        "FullDllName": (0x48, "HHIQ"),
        "BaseDllName": (0x58, "HHIQ"),
        "Flags": (0x68, "I"),
        "LoadCount": (0x6C, "H"),
        "CheckSum": (0x78, "I"),
        "TimeDateStamp": (0x9C, "I"),
    },
)

EPROCESS: Final = Layout(
    "EPROCESS",
    0x880,
    {
        # KPROCESS Pcb
        "Header.Type": (0x000, "B"),
        "Header.Size": (0x002, "B"),
        "Header.WaitListHead": (0x008, "QQ"),
        "ProfileListHead": (0x018, "QQ"),
        "DirectoryTableBase": (0x028, "Q"),
        "Pcb.ThreadListHead": (0x030, "QQ"),
        "BasePriority": (0x1BC, "B"),
        # EPROCESS
        "UniqueProcessId": (0x2E8, "Q"),
        "ActiveProcessLinks": (0x2F0, "QQ"),
        "CreateTime": (0x310, "Q"),
        "SectionBaseAddress": (0x3C8, "Q"),
        "InheritedFromUniqueProcessId": (0x3E8, "Q"),
        "Peb": (0x3F8, "Q"),
        "WoW64Process": (0x428, "Q"),
        "ImageFileName": (0x450, "15s"),
        "PriorityClass": (0x45F, "B"),
        "ThreadListHead": (0x488, "QQ"),
        "ActiveThreads": (0x498, "I"),
    },
)

ETHREAD: Final = Layout(
    "ETHREAD",
    0x820,
    {
        # KTHREAD Tcb
        "Header.Type": (0x000, "B"),
        "Header.Size": (0x002, "B"),
        "Header.WaitListHead": (0x008, "QQ"),
        "InitialStack": (0x028, "Q"),
        "StackLimit": (0x030, "Q"),
        "StackBase": (0x038, "Q"),
        "KernelStack": (0x058, "Q"),
        "ApcState.Process": (0x0B8, "Q"),
        "Priority": (0x0C3, "b"),
        "Teb": (0x0F0, "Q"),
        "NextProcessor": (0x218, "I"),
        "State": (0x184, "B"),
        "Process": (0x220, "Q"),
        "BasePriority": (0x233, "b"),
        "WaitReason": (0x283, "B"),
        "Tcb.ThreadListEntry": (0x2F8, "QQ"),
        # ETHREAD
        "CreateTime": (0x600, "Q"),
        "StartAddress": (0x620, "Q"),
        "Cid": (0x648, "QQ"),
        "Win32StartAddress": (0x6A0, "Q"),
        "ThreadListEntry": (0x6B8, "QQ"),
    },
)

KPCR: Final = Layout(
    "KPCR",
    KPRCB_OFFSET + SIZE_OF_KPRCB,
    {
        "GdtBase": (0x00, "Q"),
        "TssBase": (0x08, "Q"),
        "Self": (0x18, "Q"),
        "CurrentPrcb": (0x20, "Q"),
        "Used_Self": (0x30, "Q"),
        "IdtBase": (0x38, "Q"),
        "Irql": (0x50, "B"),
        "MajorVersion": (0x60, "H"),
        "MinorVersion": (0x62, "H"),
        "KdVersionBlock": (0x108, "Q"),
        # KPRCB Prcb
        "Prcb.MxCsr": (KPRCB_OFFSET + 0x00, "I"),
        "Prcb.LegacyNumber": (KPRCB_OFFSET + 0x04, "B"),
        "Prcb.CurrentThread": (KPRCB_OFFSET + 0x08, "Q"),
        "Prcb.NextThread": (KPRCB_OFFSET + 0x10, "Q"),
        "Prcb.IdleThread": (KPRCB_OFFSET + 0x18, "Q"),
        "Prcb.Number": (KPRCB_OFFSET + 0x24, "I"),
        "Prcb.CpuType": (KPRCB_OFFSET + 0x40, "B"),
        "Prcb.CpuID": (KPRCB_OFFSET + 0x41, "B"),
        "Prcb.CpuStep": (KPRCB_OFFSET + 0x42, "H"),
        "Prcb.MHz": (KPRCB_OFFSET + 0x44, "I"),
        "Prcb.MinorVersion": (KPRCB_OFFSET + 0x88, "H"),
        "Prcb.MajorVersion": (KPRCB_OFFSET + 0x8A, "H"),
        "Prcb.BuildType": (KPRCB_OFFSET + 0x8C, "B"),
        # The next two: positions not checked against symbols; debuggers take them from KDDEBUGGER_DATA64.
        "Prcb.VendorString": (KPRCB_OFFSET + 0x63F0, "13s"),
        "Prcb.MaxBreakpoints": (KPRCB_OFFSET + 0x6400, "I"),
        "Prcb.ProcessorState.SpecialRegisters": (KPRCB_OFFSET + 0x100, "240s"),
        "Prcb.ProcessorState.ContextFrame": (KPRCB_OFFSET + 0x1F0, "1232s"),
    },
)

KUSER_SHARED_DATA: Final = Layout(
    "KUSER_SHARED_DATA",
    0x718,
    {
        "TickCountMultiplier": (0x004, "I"),
        "InterruptTime": (0x008, "IiI"),
        "SystemTime": (0x014, "IiI"),
        "TimeZoneBias": (0x020, "IiI"),
        "ImageNumberLow": (0x02C, "H"),
        "ImageNumberHigh": (0x02E, "H"),
        "NtSystemRoot": (0x030, "520s"),
        "TimeZoneId": (0x240, "I"),
        "LargePageMinimum": (0x244, "I"),
        "NtBuildNumber": (0x260, "I"),
        "NtProductType": (0x264, "I"),
        "ProductTypeIsValid": (0x268, "B"),
        "NativeProcessorArchitecture": (0x26A, "H"),
        "NtMajorVersion": (0x26C, "I"),
        "NtMinorVersion": (0x270, "I"),
        "SuiteMask": (0x2D0, "I"),
        "KdDebuggerEnabled": (0x2D4, "B"),
        "NumberOfPhysicalPages": (0x2E8, "I"),
        "TickCount": (0x320, "IiI"),
        "ActiveProcessorCount": (0x3C0, "I"),
        "QpcFrequency": (0x300, "Q"),
        "XState.EnabledFeatures": (0x3D8, "Q"),
    },
)
