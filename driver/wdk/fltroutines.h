/*
 * The routines of fltmgr.sys, in alphabetical order, for fltKernel.h. fltmgr.def lists the same for the linker.
 * Source: Microsoft, fltKernel.h.
 */
#pragma once

#define FLT_ROUTINE DECLSPEC_IMPORT
FLT_ROUTINE NTSTATUS FLTAPI FltGetFileNameInformation(PFLT_CALLBACK_DATA CallbackData, FLT_FILE_NAME_OPTIONS NameOptions,
                                                      PFLT_FILE_NAME_INFORMATION *FileNameInformation);
FLT_ROUTINE NTSTATUS FLTAPI FltGetFileNameInformationUnsafe(PFILE_OBJECT FileObject, PFLT_INSTANCE Instance,
                                                            FLT_FILE_NAME_OPTIONS NameOptions,
                                                            PFLT_FILE_NAME_INFORMATION *FileNameInformation);
FLT_ROUTINE PVOID FLTAPI FltGetRoutineAddress(PCSTR FltMgrRoutineName);
FLT_ROUTINE NTSTATUS FLTAPI FltParseFileNameInformation(PFLT_FILE_NAME_INFORMATION FileNameInformation);
FLT_ROUTINE VOID FLTAPI FltReferenceFileNameInformation(PFLT_FILE_NAME_INFORMATION FileNameInformation);
FLT_ROUTINE VOID FLTAPI FltReleaseFileNameInformation(PFLT_FILE_NAME_INFORMATION FileNameInformation);
