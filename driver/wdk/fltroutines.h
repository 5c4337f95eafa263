/*
 * The routines of fltmgr.sys, in alphabetical order, for fltKernel.h: those that are served, and of those that only an
 * operation callback calls the common ones. fltmgr.def lists the same for the linker.
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
FLT_ROUTINE NTSTATUS FLTAPI FltAllocateContext(
    PFLT_FILTER Filter, FLT_CONTEXT_TYPE ContextType, SIZE_T ContextSize, POOL_TYPE PoolType, PFLT_CONTEXT
    *ReturnedContext);
FLT_ROUTINE PVOID FLTAPI FltAllocatePoolAlignedWithTag(
    PFLT_INSTANCE Instance, POOL_TYPE PoolType, SIZE_T NumberOfBytes, ULONG Tag);
FLT_ROUTINE NTSTATUS FLTAPI FltBuildDefaultSecurityDescriptor(
    PSECURITY_DESCRIPTOR *SecurityDescriptor, ACCESS_MASK DesiredAccess);
FLT_ROUTINE VOID FLTAPI FltCancelFileOpen(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject);
FLT_ROUTINE VOID FLTAPI FltCloseClientPort(PFLT_FILTER Filter, PFLT_PORT *ClientPort);
FLT_ROUTINE VOID FLTAPI FltCloseCommunicationPort(PFLT_PORT ServerPort);
FLT_ROUTINE VOID FLTAPI FltCompletePendedPostOperation(PFLT_CALLBACK_DATA CallbackData);
FLT_ROUTINE VOID FLTAPI FltCompletePendedPreOperation(
    PFLT_CALLBACK_DATA CallbackData, FLT_PREOP_CALLBACK_STATUS CallbackStatus, PVOID Context);
FLT_ROUTINE NTSTATUS FLTAPI FltCreateCommunicationPort(
    PFLT_FILTER Filter, PFLT_PORT *ServerPort, POBJECT_ATTRIBUTES ObjectAttributes, PVOID ServerPortCookie,
    PFLT_CONNECT_NOTIFY ConnectNotifyCallback, PFLT_DISCONNECT_NOTIFY DisconnectNotifyCallback,
    PFLT_MESSAGE_NOTIFY MessageNotifyCallback, LONG MaxConnections);
FLT_ROUTINE VOID FLTAPI FltDeleteContext(PFLT_CONTEXT Context);
FLT_ROUTINE NTSTATUS FLTAPI FltDeleteInstanceContext(PFLT_INSTANCE Instance, PFLT_CONTEXT *OldContext);
FLT_ROUTINE VOID FLTAPI FltDeletePushLock(PEX_PUSH_LOCK PushLock);
FLT_ROUTINE NTSTATUS FLTAPI FltDeleteVolumeContext(
    PFLT_FILTER Filter, PFLT_VOLUME Volume, PFLT_CONTEXT *OldContext);
FLT_ROUTINE BOOLEAN FLTAPI FltDoCompletionProcessingWhenSafe(
    PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID CompletionContext, FLT_POST_OPERATION_FLAGS
    Flags, PFLT_POST_OPERATION_CALLBACK SafePostCallback, PFLT_POSTOP_CALLBACK_STATUS RetPostOperationStatus);
FLT_ROUTINE VOID FLTAPI FltFreePoolAlignedWithTag(PFLT_INSTANCE Instance, PVOID Buffer, ULONG Tag);
FLT_ROUTINE VOID FLTAPI FltFreeSecurityDescriptor(PSECURITY_DESCRIPTOR SecurityDescriptor);
FLT_ROUTINE NTSTATUS FLTAPI FltGetDestinationFileNameInformation(
    PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, HANDLE RootDirectory, PWSTR FileName, ULONG FileNameLength,
    FLT_FILE_NAME_OPTIONS NameOptions, PFLT_FILE_NAME_INFORMATION *RetFileNameInformation);
FLT_ROUTINE NTSTATUS FLTAPI FltGetDiskDeviceObject(PFLT_VOLUME Volume, PDEVICE_OBJECT *DiskDeviceObject);
FLT_ROUTINE NTSTATUS FLTAPI FltGetFileNameInformation(
    PFLT_CALLBACK_DATA CallbackData, FLT_FILE_NAME_OPTIONS NameOptions, PFLT_FILE_NAME_INFORMATION
    *FileNameInformation);
FLT_ROUTINE NTSTATUS FLTAPI FltGetFileNameInformationUnsafe(
    PFILE_OBJECT FileObject, PFLT_INSTANCE Instance, FLT_FILE_NAME_OPTIONS NameOptions,
    PFLT_FILE_NAME_INFORMATION *FileNameInformation);
FLT_ROUTINE NTSTATUS FLTAPI FltGetFilterFromInstance(PFLT_INSTANCE Instance, PFLT_FILTER *RetFilter);
FLT_ROUTINE NTSTATUS FLTAPI FltGetInstanceContext(PFLT_INSTANCE Instance, PFLT_CONTEXT *Context);
FLT_ROUTINE PEPROCESS FLTAPI FltGetRequestorProcess(PFLT_CALLBACK_DATA CallbackData);
FLT_ROUTINE ULONG FLTAPI FltGetRequestorProcessId(PFLT_CALLBACK_DATA CallbackData);
FLT_ROUTINE PVOID FLTAPI FltGetRoutineAddress(PCSTR FltMgrRoutineName);
FLT_ROUTINE NTSTATUS FLTAPI FltGetStreamContext(
    PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, PFLT_CONTEXT *Context);
FLT_ROUTINE NTSTATUS FLTAPI FltGetStreamHandleContext(
    PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, PFLT_CONTEXT *Context);
FLT_ROUTINE NTSTATUS FLTAPI FltGetVolumeContext(PFLT_FILTER Filter, PFLT_VOLUME Volume, PFLT_CONTEXT *Context);
FLT_ROUTINE NTSTATUS FLTAPI FltGetVolumeFromInstance(PFLT_INSTANCE Instance, PFLT_VOLUME *RetVolume);
FLT_ROUTINE NTSTATUS FLTAPI FltGetVolumeName(
    PFLT_VOLUME Volume, PUNICODE_STRING VolumeName, PULONG BufferSizeNeeded);
FLT_ROUTINE VOID FLTAPI FltInitializePushLock(PEX_PUSH_LOCK PushLock);
FLT_ROUTINE NTSTATUS FLTAPI FltIsDirectory(PFILE_OBJECT FileObject, PFLT_INSTANCE Instance, PBOOLEAN IsDirectory);
FLT_ROUTINE VOID FLTAPI FltObjectDereference(PVOID FltObject);
FLT_ROUTINE NTSTATUS FLTAPI FltObjectReference(PVOID FltObject);
FLT_ROUTINE NTSTATUS FLTAPI FltParseFileNameInformation(PFLT_FILE_NAME_INFORMATION FileNameInformation);
FLT_ROUTINE NTSTATUS FLTAPI FltQueryInformationFile(
    PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, PVOID FileInformation, ULONG Length, FILE_INFORMATION_CLASS
    FileInformationClass, PULONG LengthReturned);
FLT_ROUTINE VOID FLTAPI FltReferenceContext(PFLT_CONTEXT Context);
FLT_ROUTINE VOID FLTAPI FltReferenceFileNameInformation(PFLT_FILE_NAME_INFORMATION FileNameInformation);
FLT_ROUTINE NTSTATUS FLTAPI FltRegisterFilter(
    PDRIVER_OBJECT Driver, CONST FLT_REGISTRATION *Registration, PFLT_FILTER *RetFilter);
FLT_ROUTINE VOID FLTAPI FltReleaseContext(PFLT_CONTEXT Context);
FLT_ROUTINE VOID FLTAPI FltReleaseFileNameInformation(PFLT_FILE_NAME_INFORMATION FileNameInformation);
FLT_ROUTINE VOID FLTAPI FltReleasePushLock(PEX_PUSH_LOCK PushLock);
FLT_ROUTINE VOID FLTAPI FltReleasePushLockEx(PEX_PUSH_LOCK PushLock, ULONG Flags);
FLT_ROUTINE VOID FLTAPI FltReleaseResource(PERESOURCE Resource);
FLT_ROUTINE NTSTATUS FLTAPI FltSendMessage(
    PFLT_FILTER Filter, PFLT_PORT *ClientPort, PVOID SenderBuffer, ULONG SenderBufferLength, PVOID ReplyBuffer,
    PULONG ReplyLength, PLARGE_INTEGER Timeout);
FLT_ROUTINE VOID FLTAPI FltSetCallbackDataDirty(PFLT_CALLBACK_DATA Data);
FLT_ROUTINE NTSTATUS FLTAPI FltSetInstanceContext(
    PFLT_INSTANCE Instance, FLT_SET_CONTEXT_OPERATION Operation, PFLT_CONTEXT NewContext, PFLT_CONTEXT
    *OldContext);
FLT_ROUTINE NTSTATUS FLTAPI FltSetStreamContext(
    PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, FLT_SET_CONTEXT_OPERATION Operation, PFLT_CONTEXT
    NewContext, PFLT_CONTEXT *OldContext);
FLT_ROUTINE NTSTATUS FLTAPI FltSetStreamHandleContext(
    PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, FLT_SET_CONTEXT_OPERATION Operation, PFLT_CONTEXT
    NewContext, PFLT_CONTEXT *OldContext);
FLT_ROUTINE NTSTATUS FLTAPI FltSetVolumeContext(
    PFLT_VOLUME Volume, FLT_SET_CONTEXT_OPERATION Operation, PFLT_CONTEXT NewContext, PFLT_CONTEXT *OldContext);
FLT_ROUTINE NTSTATUS FLTAPI FltStartFiltering(PFLT_FILTER Filter);
FLT_ROUTINE VOID FLTAPI FltUnregisterFilter(PFLT_FILTER Filter);
