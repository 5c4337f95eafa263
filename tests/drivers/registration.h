/* DriverEntry and DriverUnload of the project's driver. */
#pragma once

#include "../../driver/procnotify/procnotify.c"
