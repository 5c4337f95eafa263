/* What the harness asks of the helper beside the actions of a scenario. */
#pragma once

#include "actions.h"

/* Ends with an entry whose Word is NULL. */
extern const ACTION_ENTRY Commands[];
