/*
 * Drivers' devices. The device that an action opens is kept open by a process of its own, which does what further
 * actions ask of it: each of them is a process that hands over one request by a named pipe and waits for the
 * answer. So the device has one process, from its IRP_MJ_CREATE to its IRP_MJ_CLOSE, and the end of that process is
 * what a driver sees of a program that ends with the device open.
 */
#pragma once

#include "actions.h"

BOOL OpenDevice(ARGUMENTS *Arguments, RESULT *Result);
BOOL ControlDevice(ARGUMENTS *Arguments, RESULT *Result);
BOOL ReadDevice(ARGUMENTS *Arguments, RESULT *Result);
BOOL WriteDevice(ARGUMENTS *Arguments, RESULT *Result);
BOOL AwaitIo(ARGUMENTS *Arguments, RESULT *Result);
BOOL CancelDeviceIo(ARGUMENTS *Arguments, RESULT *Result);
BOOL CloseDevice(ARGUMENTS *Arguments, RESULT *Result);

/* The command of the process that keeps a device open. */
BOOL KeepDevice(ARGUMENTS *Arguments, RESULT *Result);
