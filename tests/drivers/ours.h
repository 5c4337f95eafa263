/*
 * The project's driver but for its entry point. A faulty driver includes this, states its fault, and then
 * includes registration.h; so everything about it is right except what its own file shows.
 */
#pragma once

#include "../../driver/procnotify/callbacks.c"
#include "../../driver/procnotify/print.c"
#include "../../driver/procnotify/stamp.c"
#include "../../driver/procnotify/utf8.c"
