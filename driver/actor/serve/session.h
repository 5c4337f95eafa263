/*
 * Requests, one after the other, each done once. A request whose answer got lost comes again and is answered from
 * memory. A host that begins anew takes over from the one before.
 */
#pragma once

#include "line.h"

/* Answers a request, unless its answer comes later. */
VOID HandleFrame(LINE *Line, const FRAME *Request);

/* Answers what can be answered by now. TRUE while something is left that is to be looked at often. */
BOOL HandleTime(LINE *Line);

VOID SayDamaged(LINE *Line);

/* What the session has under way is dropped; its host is told when it asks for more. */
VOID EndSession(VOID);
