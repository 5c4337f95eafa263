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
FLT_ROUTINE PFLT_DEFERRED_IO_WORKITEM FLTAPI FltAllocateDeferredIoWorkItem(VOID);
FLT_ROUTINE PFLT_GENERIC_WORKITEM FLTAPI FltAllocateGenericWorkItem(VOID);
FLT_ROUTINE PVOID FLTAPI FltAllocatePoolAlignedWithTag(
    PFLT_INSTANCE Instance, POOL_TYPE PoolType, SIZE_T NumberOfBytes, ULONG Tag);
FLT_ROUTINE NTSTATUS FLTAPI FltAttachVolume(
    PFLT_FILTER Filter, PFLT_VOLUME Volume, PCUNICODE_STRING InstanceName, PFLT_INSTANCE *RetInstance);
FLT_ROUTINE NTSTATUS FLTAPI FltBuildDefaultSecurityDescriptor(
    PSECURITY_DESCRIPTOR *SecurityDescriptor, ACCESS_MASK DesiredAccess);
FLT_ROUTINE VOID FLTAPI FltCancelFileOpen(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject);
FLT_ROUTINE NTSTATUS FLTAPI FltClose(HANDLE FileHandle);
FLT_ROUTINE VOID FLTAPI FltCloseClientPort(PFLT_FILTER Filter, PFLT_PORT *ClientPort);
FLT_ROUTINE VOID FLTAPI FltCloseCommunicationPort(PFLT_PORT ServerPort);
FLT_ROUTINE VOID FLTAPI FltCompletePendedPostOperation(PFLT_CALLBACK_DATA CallbackData);
FLT_ROUTINE VOID FLTAPI FltCompletePendedPreOperation(
    PFLT_CALLBACK_DATA CallbackData, FLT_PREOP_CALLBACK_STATUS CallbackStatus, PVOID Context);
FLT_ROUTINE NTSTATUS FLTAPI FltCreateCommunicationPort(
    PFLT_FILTER Filter, PFLT_PORT *ServerPort, POBJECT_ATTRIBUTES ObjectAttributes, PVOID ServerPortCookie,
    PFLT_CONNECT_NOTIFY ConnectNotifyCallback, PFLT_DISCONNECT_NOTIFY DisconnectNotifyCallback,
    PFLT_MESSAGE_NOTIFY MessageNotifyCallback, LONG MaxConnections);
FLT_ROUTINE NTSTATUS FLTAPI FltCreateFile(
    PFLT_FILTER Filter, PFLT_INSTANCE Instance, PHANDLE FileHandle, ACCESS_MASK DesiredAccess,
    POBJECT_ATTRIBUTES ObjectAttributes, PIO_STATUS_BLOCK IoStatusBlock, PLARGE_INTEGER AllocationSize, ULONG
    FileAttributes, ULONG ShareAccess, ULONG CreateDisposition, ULONG CreateOptions, PVOID EaBuffer, ULONG
    EaLength, ULONG Flags);
FLT_ROUTINE NTSTATUS FLTAPI FltCreateFileEx(
    PFLT_FILTER Filter, PFLT_INSTANCE Instance, PHANDLE FileHandle, PFILE_OBJECT *FileObject, ACCESS_MASK
    DesiredAccess, POBJECT_ATTRIBUTES ObjectAttributes, PIO_STATUS_BLOCK IoStatusBlock, PLARGE_INTEGER
    AllocationSize, ULONG FileAttributes, ULONG ShareAccess, ULONG CreateDisposition, ULONG CreateOptions, PVOID
    EaBuffer, ULONG EaLength, ULONG Flags);
FLT_ROUTINE VOID FLTAPI FltDeleteContext(PFLT_CONTEXT Context);
FLT_ROUTINE NTSTATUS FLTAPI FltDeleteInstanceContext(PFLT_INSTANCE Instance, PFLT_CONTEXT *OldContext);
FLT_ROUTINE VOID FLTAPI FltDeletePushLock(PEX_PUSH_LOCK PushLock);
FLT_ROUTINE NTSTATUS FLTAPI FltDeleteVolumeContext(
    PFLT_FILTER Filter, PFLT_VOLUME Volume, PFLT_CONTEXT *OldContext);
FLT_ROUTINE NTSTATUS FLTAPI FltDetachVolume(PFLT_FILTER Filter, PFLT_VOLUME Volume, PCUNICODE_STRING InstanceName);
FLT_ROUTINE BOOLEAN FLTAPI FltDoCompletionProcessingWhenSafe(
    PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID CompletionContext, FLT_POST_OPERATION_FLAGS
    Flags, PFLT_POST_OPERATION_CALLBACK SafePostCallback, PFLT_POSTOP_CALLBACK_STATUS RetPostOperationStatus);
FLT_ROUTINE NTSTATUS FLTAPI FltEnumerateFilters(
    PFLT_FILTER *FilterList, ULONG FilterListSize, PULONG NumberFiltersReturned);
FLT_ROUTINE NTSTATUS FLTAPI FltEnumerateInstances(
    PFLT_VOLUME Volume, PFLT_FILTER Filter, PFLT_INSTANCE *InstanceList, ULONG InstanceListSize, PULONG
    NumberInstancesReturned);
FLT_ROUTINE NTSTATUS FLTAPI FltEnumerateVolumes(
    PFLT_FILTER Filter, PFLT_VOLUME *VolumeList, ULONG VolumeListSize, PULONG NumberVolumesReturned);
FLT_ROUTINE NTSTATUS FLTAPI FltFlushBuffers(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject);
FLT_ROUTINE VOID FLTAPI FltFreeDeferredIoWorkItem(PFLT_DEFERRED_IO_WORKITEM FltWorkItem);
FLT_ROUTINE VOID FLTAPI FltFreeGenericWorkItem(PFLT_GENERIC_WORKITEM FltWorkItem);
FLT_ROUTINE VOID FLTAPI FltFreePoolAlignedWithTag(PFLT_INSTANCE Instance, PVOID Buffer, ULONG Tag);
FLT_ROUTINE VOID FLTAPI FltFreeSecurityDescriptor(PSECURITY_DESCRIPTOR SecurityDescriptor);
FLT_ROUTINE NTSTATUS FLTAPI FltGetDestinationFileNameInformation(
    PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, HANDLE RootDirectory, PWSTR FileName, ULONG FileNameLength,
    FLT_FILE_NAME_OPTIONS NameOptions, PFLT_FILE_NAME_INFORMATION *RetFileNameInformation);
FLT_ROUTINE NTSTATUS FLTAPI FltGetDeviceObject(PFLT_VOLUME Volume, PDEVICE_OBJECT *DeviceObject);
FLT_ROUTINE NTSTATUS FLTAPI FltGetDiskDeviceObject(PFLT_VOLUME Volume, PDEVICE_OBJECT *DiskDeviceObject);
FLT_ROUTINE NTSTATUS FLTAPI FltGetFileNameInformation(
    PFLT_CALLBACK_DATA CallbackData, FLT_FILE_NAME_OPTIONS NameOptions, PFLT_FILE_NAME_INFORMATION
    *FileNameInformation);
FLT_ROUTINE NTSTATUS FLTAPI FltGetFileNameInformationUnsafe(
    PFILE_OBJECT FileObject, PFLT_INSTANCE Instance, FLT_FILE_NAME_OPTIONS NameOptions,
    PFLT_FILE_NAME_INFORMATION *FileNameInformation);
FLT_ROUTINE NTSTATUS FLTAPI FltGetFilterFromInstance(PFLT_INSTANCE Instance, PFLT_FILTER *RetFilter);
FLT_ROUTINE NTSTATUS FLTAPI FltGetFilterFromName(PCUNICODE_STRING FilterName, PFLT_FILTER *RetFilter);
FLT_ROUTINE NTSTATUS FLTAPI FltGetInstanceContext(PFLT_INSTANCE Instance, PFLT_CONTEXT *Context);
FLT_ROUTINE PCHAR FLTAPI FltGetIrpName(UCHAR IrpMajorCode);
FLT_ROUTINE PEPROCESS FLTAPI FltGetRequestorProcess(PFLT_CALLBACK_DATA CallbackData);
FLT_ROUTINE ULONG FLTAPI FltGetRequestorProcessId(PFLT_CALLBACK_DATA CallbackData);
FLT_ROUTINE PVOID FLTAPI FltGetRoutineAddress(PCSTR FltMgrRoutineName);
FLT_ROUTINE NTSTATUS FLTAPI FltGetStreamContext(
    PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, PFLT_CONTEXT *Context);
FLT_ROUTINE NTSTATUS FLTAPI FltGetStreamHandleContext(
    PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, PFLT_CONTEXT *Context);
FLT_ROUTINE NTSTATUS FLTAPI FltGetTunneledName(
    PFLT_CALLBACK_DATA CallbackData, PFLT_FILE_NAME_INFORMATION FileNameInformation, PFLT_FILE_NAME_INFORMATION
    *RetTunneledFileNameInformation);
FLT_ROUTINE NTSTATUS FLTAPI FltGetVolumeContext(PFLT_FILTER Filter, PFLT_VOLUME Volume, PFLT_CONTEXT *Context);
FLT_ROUTINE NTSTATUS FLTAPI FltGetVolumeFromFileObject(
    PFLT_FILTER Filter, PFILE_OBJECT FileObject, PFLT_VOLUME *RetVolume);
FLT_ROUTINE NTSTATUS FLTAPI FltGetVolumeFromInstance(PFLT_INSTANCE Instance, PFLT_VOLUME *RetVolume);
FLT_ROUTINE NTSTATUS FLTAPI FltGetVolumeFromName(
    PFLT_FILTER Filter, PCUNICODE_STRING VolumeName, PFLT_VOLUME *RetVolume);
FLT_ROUTINE NTSTATUS FLTAPI FltGetVolumeGuidName(
    PFLT_VOLUME Volume, PUNICODE_STRING VolumeGuidName, PULONG BufferSizeNeeded);
FLT_ROUTINE NTSTATUS FLTAPI FltGetVolumeName(
    PFLT_VOLUME Volume, PUNICODE_STRING VolumeName, PULONG BufferSizeNeeded);
FLT_ROUTINE NTSTATUS FLTAPI FltGetVolumeProperties(
    PFLT_VOLUME Volume, PFLT_VOLUME_PROPERTIES VolumeProperties, ULONG VolumePropertiesLength, PULONG
    LengthReturned);
FLT_ROUTINE VOID FLTAPI FltInitializePushLock(PEX_PUSH_LOCK PushLock);
FLT_ROUTINE NTSTATUS FLTAPI FltIsDirectory(PFILE_OBJECT FileObject, PFLT_INSTANCE Instance, PBOOLEAN IsDirectory);
FLT_ROUTINE BOOLEAN FLTAPI FltIsOperationSynchronous(PFLT_CALLBACK_DATA CallbackData);
FLT_ROUTINE NTSTATUS FLTAPI FltLockUserBuffer(PFLT_CALLBACK_DATA CallbackData);
FLT_ROUTINE VOID FLTAPI FltObjectDereference(PVOID FltObject);
FLT_ROUTINE NTSTATUS FLTAPI FltObjectReference(PVOID FltObject);
FLT_ROUTINE NTSTATUS FLTAPI FltParseFileName(
    PCUNICODE_STRING FileName, PUNICODE_STRING Extension, PUNICODE_STRING Stream, PUNICODE_STRING FinalComponent);
FLT_ROUTINE NTSTATUS FLTAPI FltParseFileNameInformation(PFLT_FILE_NAME_INFORMATION FileNameInformation);
FLT_ROUTINE NTSTATUS FLTAPI FltQueryInformationFile(
    PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, PVOID FileInformation, ULONG Length, FILE_INFORMATION_CLASS
    FileInformationClass, PULONG LengthReturned);
FLT_ROUTINE NTSTATUS FLTAPI FltQueryVolumeInformation(
    PFLT_INSTANCE Instance, PIO_STATUS_BLOCK Iosb, PVOID FsInformation, ULONG Length, FS_INFORMATION_CLASS
    FsInformationClass);
FLT_ROUTINE NTSTATUS FLTAPI FltQueueDeferredIoWorkItem(
    PFLT_DEFERRED_IO_WORKITEM FltWorkItem, PFLT_CALLBACK_DATA Data, PFLT_DEFERRED_IO_WORKITEM_ROUTINE
    WorkerRoutine, WORK_QUEUE_TYPE QueueType, PVOID Context);
FLT_ROUTINE NTSTATUS FLTAPI FltQueueGenericWorkItem(
    PFLT_GENERIC_WORKITEM FltWorkItem, PVOID FltObject, PFLT_GENERIC_WORKITEM_ROUTINE WorkerRoutine,
    WORK_QUEUE_TYPE QueueType, PVOID Context);
FLT_ROUTINE NTSTATUS FLTAPI FltReadFile(
    PFLT_INSTANCE InitiatingInstance, PFILE_OBJECT FileObject, PLARGE_INTEGER ByteOffset, ULONG Length, PVOID
    Buffer, FLT_IO_OPERATION_FLAGS Flags, PULONG BytesRead, PFLT_COMPLETED_ASYNC_IO_CALLBACK CallbackRoutine,
    PVOID CallbackContext);
FLT_ROUTINE VOID FLTAPI FltReferenceContext(PFLT_CONTEXT Context);
FLT_ROUTINE VOID FLTAPI FltReferenceFileNameInformation(PFLT_FILE_NAME_INFORMATION FileNameInformation);
FLT_ROUTINE NTSTATUS FLTAPI FltRegisterFilter(
    PDRIVER_OBJECT Driver, CONST FLT_REGISTRATION *Registration, PFLT_FILTER *RetFilter);
FLT_ROUTINE VOID FLTAPI FltReleaseContext(PFLT_CONTEXT Context);
FLT_ROUTINE VOID FLTAPI FltReleaseFileNameInformation(PFLT_FILE_NAME_INFORMATION FileNameInformation);
FLT_ROUTINE VOID FLTAPI FltReleasePushLock(PEX_PUSH_LOCK PushLock);
FLT_ROUTINE VOID FLTAPI FltReleasePushLockEx(PEX_PUSH_LOCK PushLock, ULONG Flags);
FLT_ROUTINE VOID FLTAPI FltReleaseResource(PERESOURCE Resource);
FLT_ROUTINE NTSTATUS FLTAPI FltRequestOperationStatusCallback(
    PFLT_CALLBACK_DATA Data, PFLT_GET_OPERATION_STATUS_CALLBACK CallbackRoutine, PVOID RequesterContext);
FLT_ROUTINE NTSTATUS FLTAPI FltSendMessage(
    PFLT_FILTER Filter, PFLT_PORT *ClientPort, PVOID SenderBuffer, ULONG SenderBufferLength, PVOID ReplyBuffer,
    PULONG ReplyLength, PLARGE_INTEGER Timeout);
FLT_ROUTINE VOID FLTAPI FltSetCallbackDataDirty(PFLT_CALLBACK_DATA Data);
FLT_ROUTINE NTSTATUS FLTAPI FltSetInformationFile(
    PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, PVOID FileInformation, ULONG Length, FILE_INFORMATION_CLASS
    FileInformationClass);
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
FLT_ROUTINE BOOLEAN FLTAPI FltSupportsStreamContexts(PFILE_OBJECT FileObject);
FLT_ROUTINE BOOLEAN FLTAPI FltSupportsStreamHandleContexts(PFILE_OBJECT FileObject);
FLT_ROUTINE VOID FLTAPI FltUnregisterFilter(PFLT_FILTER Filter);
FLT_ROUTINE NTSTATUS FLTAPI FltWriteFile(
    PFLT_INSTANCE InitiatingInstance, PFILE_OBJECT FileObject, PLARGE_INTEGER ByteOffset, ULONG Length, PVOID
    Buffer, FLT_IO_OPERATION_FLAGS Flags, PULONG BytesWritten, PFLT_COMPLETED_ASYNC_IO_CALLBACK CallbackRoutine,
    PVOID CallbackContext);
