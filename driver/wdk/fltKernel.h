/*
 * For drivers that include the filter manager's header and use nothing of it: it stands for ntifs.h, which the
 * original includes. Of the filter manager itself nothing is declared here.
 */
#pragma once
#include <ntifs.h>
