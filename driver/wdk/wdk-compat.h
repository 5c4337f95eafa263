/*
 * What Microsoft's WDK headers have and mingw-w64's lack; included before every driver source, so that sources
 * written for the WDK compile as they are.
 */
#pragma once

#include <sal.h>
