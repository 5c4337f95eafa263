/* The guest helper as a server on a serial port: `serve PORT [BAUD]`. */
#pragma once

#include "../actions.h"

/* `serve`, which also makes itself a service and removes it. */
ACTION Serve;

#define DEFAULT_BAUD 115200

/* Ends when *Stopping is set, and never otherwise: a port that is gone is opened again when it is back. */
VOID ServePort(PCWSTR Port, DWORD Baud, volatile BOOL *Stopping);
