/* Is unloaded while its thread callback is registered. */
#define REMOVE_THREAD_CALLBACK() STATUS_SUCCESS

#include "../plain.h"
