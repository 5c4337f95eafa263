/* A driver without a fault. */
#include "../plain.h"
