/*
 * The routines of fltmgr.sys, in alphabetical order, for fltKernel.h. fltmgr.def lists the same for the linker.
 * Source: Microsoft, fltKernel.h.
 */
#pragma once

#define FLT_ROUTINE DECLSPEC_IMPORT
FLT_ROUTINE VOID FLTAPI FltAcquirePushLockExclusive(PEX_PUSH_LOCK PushLock);
FLT_ROUTINE VOID FLTAPI FltAcquirePushLockExclusiveEx(PEX_PUSH_LOCK PushLock, ULONG Flags);
FLT_ROUTINE VOID FLTAPI FltAcquirePushLockShared(PEX_PUSH_LOCK PushLock);
FLT_ROUTINE VOID FLTAPI FltAcquirePushLockSharedEx(PEX_PUSH_LOCK PushLock, ULONG Flags);
FLT_ROUTINE VOID FLTAPI FltAcquireResourceExclusive(PERESOURCE Resource);
FLT_ROUTINE VOID FLTAPI FltAcquireResourceShared(PERESOURCE Resource);
FLT_ROUTINE PVOID FLTAPI FltAllocatePoolAlignedWithTag(
    PFLT_INSTANCE Instance, POOL_TYPE PoolType, SIZE_T NumberOfBytes, ULONG Tag);
FLT_ROUTINE NTSTATUS FLTAPI FltBuildDefaultSecurityDescriptor(
    PSECURITY_DESCRIPTOR *SecurityDescriptor, ACCESS_MASK DesiredAccess);
FLT_ROUTINE VOID FLTAPI FltCloseClientPort(PFLT_FILTER Filter, PFLT_PORT *ClientPort);
FLT_ROUTINE VOID FLTAPI FltCloseCommunicationPort(PFLT_PORT ServerPort);
FLT_ROUTINE NTSTATUS FLTAPI FltCreateCommunicationPort(
    PFLT_FILTER Filter, PFLT_PORT *ServerPort, POBJECT_ATTRIBUTES ObjectAttributes, PVOID ServerPortCookie,
    PFLT_CONNECT_NOTIFY ConnectNotifyCallback, PFLT_DISCONNECT_NOTIFY DisconnectNotifyCallback,
    PFLT_MESSAGE_NOTIFY MessageNotifyCallback, LONG MaxConnections);
FLT_ROUTINE VOID FLTAPI FltDeletePushLock(PEX_PUSH_LOCK PushLock);
FLT_ROUTINE VOID FLTAPI FltFreePoolAlignedWithTag(PFLT_INSTANCE Instance, PVOID Buffer, ULONG Tag);
FLT_ROUTINE VOID FLTAPI FltFreeSecurityDescriptor(PSECURITY_DESCRIPTOR SecurityDescriptor);
FLT_ROUTINE NTSTATUS FLTAPI FltGetFileNameInformation(
    PFLT_CALLBACK_DATA CallbackData, FLT_FILE_NAME_OPTIONS NameOptions, PFLT_FILE_NAME_INFORMATION
    *FileNameInformation);
FLT_ROUTINE NTSTATUS FLTAPI FltGetFileNameInformationUnsafe(
    PFILE_OBJECT FileObject, PFLT_INSTANCE Instance, FLT_FILE_NAME_OPTIONS NameOptions,
    PFLT_FILE_NAME_INFORMATION *FileNameInformation);
FLT_ROUTINE PEPROCESS FLTAPI FltGetRequestorProcess(PFLT_CALLBACK_DATA CallbackData);
FLT_ROUTINE ULONG FLTAPI FltGetRequestorProcessId(PFLT_CALLBACK_DATA CallbackData);
FLT_ROUTINE PVOID FLTAPI FltGetRoutineAddress(PCSTR FltMgrRoutineName);
FLT_ROUTINE NTSTATUS FLTAPI FltGetVolumeName(
    PFLT_VOLUME Volume, PUNICODE_STRING VolumeName, PULONG BufferSizeNeeded);
FLT_ROUTINE VOID FLTAPI FltInitializePushLock(PEX_PUSH_LOCK PushLock);
FLT_ROUTINE NTSTATUS FLTAPI FltParseFileNameInformation(PFLT_FILE_NAME_INFORMATION FileNameInformation);
FLT_ROUTINE VOID FLTAPI FltReferenceFileNameInformation(PFLT_FILE_NAME_INFORMATION FileNameInformation);
FLT_ROUTINE NTSTATUS FLTAPI FltRegisterFilter(
    PDRIVER_OBJECT Driver, CONST FLT_REGISTRATION *Registration, PFLT_FILTER *RetFilter);
FLT_ROUTINE VOID FLTAPI FltReleaseFileNameInformation(PFLT_FILE_NAME_INFORMATION FileNameInformation);
FLT_ROUTINE VOID FLTAPI FltReleasePushLock(PEX_PUSH_LOCK PushLock);
FLT_ROUTINE VOID FLTAPI FltReleasePushLockEx(PEX_PUSH_LOCK PushLock, ULONG Flags);
FLT_ROUTINE VOID FLTAPI FltReleaseResource(PERESOURCE Resource);
FLT_ROUTINE NTSTATUS FLTAPI FltSendMessage(
    PFLT_FILTER Filter, PFLT_PORT *ClientPort, PVOID SenderBuffer, ULONG SenderBufferLength, PVOID ReplyBuffer,
    PULONG ReplyLength, PLARGE_INTEGER Timeout);
FLT_ROUTINE VOID FLTAPI FltSetCallbackDataDirty(PFLT_CALLBACK_DATA Data);
FLT_ROUTINE NTSTATUS FLTAPI FltStartFiltering(PFLT_FILTER Filter);
FLT_ROUTINE VOID FLTAPI FltUnregisterFilter(PFLT_FILTER Filter);
